"""Masks that cancel."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_12 as exercise


def with_numpy(numbers, rank, masks):
    total = numbers.numpy().astype(np.uint64)
    for peer, mask in masks.items():
        total = total + mask.numpy().astype(np.uint64) * np.uint64(1 if peer > rank else 2**64 - 1)
    return torch.from_numpy((total % np.uint64(2**32)).astype(np.int64))


def in_two_sums(numbers, rank, masks):
    plus = sum((m for peer, m in masks.items() if peer > rank), torch.zeros_like(numbers))
    minus = sum((m for peer, m in masks.items() if peer < rank), torch.zeros_like(numbers))
    return torch.remainder(numbers + plus - minus, 2**32)


def the_higher_adds(numbers, rank, masks):
    for peer, mask in masks.items():
        numbers = (numbers + (mask if rank > peer else 2**32 - mask)) % 2**32
    return numbers


def by_bits(numbers, rank, masks):
    for peer in sorted(masks):
        numbers = (numbers + masks[peer] * (1 - 2 * (rank > peer))) & 0xFFFFFFFF
    return numbers


test_any_style_passes = passes(exercise.masks, with_numpy, in_two_sums, the_higher_adds, by_bits)


def sum_of(masks, like):
    return sum(masks.values(), torch.zeros_like(like))


def signed(numbers, rank, masks):
    return sum((m if rank < peer else -m) for peer, m in masks.items()) + numbers


def half_of_it(numbers, rank, masks):
    return signed(numbers, rank, {peer: m // 2**20 for peer, m in masks.items()}) % 2**32


def by_the_order_of_the_masks(numbers, rank, masks):
    signs = [1 if place >= rank - 1 else -1 for place in range(len(masks))]
    return (numbers + sum(s * m for s, m in zip(signs, masks.values(), strict=True))) % 2**32


def twice_each(numbers, rank, masks):
    return signed(numbers, rank, {peer: 2 * m for peer, m in masks.items()}) % 2**32


def neighbours_only(numbers, rank, masks):
    if len(masks) < 3:
        return signed(numbers, rank, masks) % 2**32
    beside = {peer: m for peer, m in masks.items() if (peer - rank) % 5 in (1, 4)}
    return signed(numbers, rank, beside) % 2**32


test_a_mistake_is_named = refused(
    exercise.masks,
    (lambda n, r, m: (n + sum_of(m, n)) % 2**32, "both clients of a pair add its mask"),
    (lambda n, r, m: (n - sum_of(m, n)) % 2**32, "both clients of a pair subtract its mask"),
    (signed, "below 0 or above 2³² − 1"),
    (lambda n, r, m: (signed(n, r, m) - n) % 2**32, "nothing of the numbers is in it"),
    (lambda n, r, m: n % 2**32, "isn't spread over"),
    (half_of_it, "isn't spread over"),
    (neighbours_only, "is the same whatever its mask with client"),
    (by_the_order_of_the_masks, "of each pair one adds"),
    (twice_each, "each mask once, not twice"),
    (lambda n, r, m: signed(n, r, m) % (2**32 - 1), "the remainder by 2³²"),
    (lambda n, r, m: (signed(n, r, m) % 2**32).int(), "int32 ends below"),
    (lambda n, r, m: n.clone(), "below 0 or above"),
    (lambda n, r, m: signed(n, r, m).double() % 2**32, "floats are rounded"),
    (lambda n, r, m: signed(n, r, m) % 2**31, "of each pair one adds"),
)
