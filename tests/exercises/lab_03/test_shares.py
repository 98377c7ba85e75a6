"""Shares by speed: whole, less than one digit off, and together the batch."""

import math

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_03 as exercise


def rounded(speeds, batch):
    return [round(batch * speed / sum(speeds)) for speed in speeds]


def rest_to_one(speeds, batch):
    counts = [int(batch * speed / sum(speeds)) for speed in speeds]
    return [counts[0] + batch - sum(counts), *counts[1:]]


def equal(speeds, batch):
    base, rest = divmod(batch, len(speeds))
    return [base + (i < rest) for i in range(len(speeds))]


def turned_round(speeds, batch):
    return exercise.shares.reference([1 / speed for speed in speeds], batch)


def rounded_and_the_rest_to_rank_0(speeds, batch):
    counts = rounded(speeds, batch)
    return [counts[0] + batch - sum(counts), *counts[1:]]


def between_rounded_sums(speeds, batch):
    ends = [round(batch * sum(speeds[: i + 1]) / sum(speeds)) for i in range(len(speeds))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def by_numpy(speeds, batch):
    ideal = batch * np.array(speeds) / sum(speeds)
    counts = np.floor(ideal).astype(int)
    counts[np.argsort(counts - ideal)[: batch - counts.sum()]] += 1
    return counts


def a_list_of_numpys_integers(speeds, batch):
    return list(by_numpy(speeds, batch))


def the_rest_one_by_one_from_rank_0(speeds, batch):
    counts = [int(batch * speed / sum(speeds)) for speed in speeds]
    for rank in range(batch - sum(counts)):
        counts[rank] += 1
    return counts


def for_nodes_in_order_of_speed(speeds, batch):
    return exercise.shares.reference(sorted(speeds, reverse=True), batch)


def as_a_tensor(speeds, batch):
    return torch.tensor(between_rounded_sums(speeds, batch))


def corrected(first):
    """Each rounded; then one more or less for some, as ``first`` sorts the ranks."""

    def answer(speeds, batch):
        counts = rounded(speeds, batch)
        lacks = batch - sum(counts)
        for rank in first(speeds)[: abs(lacks)]:
            counts[rank] += 1 if lacks > 0 else -1
        return counts

    return answer


def rest_to(first):
    """Each rounded down; then one more for some, as ``first`` sorts the ranks."""

    def answer(speeds, batch):
        counts = [int(batch * speed / sum(speeds)) for speed in speeds]
        for rank in first(speeds)[: batch - sum(counts)]:
            counts[rank] += 1
        return counts

    return answer


def fastest_first(speeds):
    return sorted(range(len(speeds)), key=lambda rank: -speeds[rank])


def slowest_first(speeds):
    return sorted(range(len(speeds)), key=lambda rank: speeds[rank])


def last_first(speeds):
    return list(range(len(speeds)))[::-1]


def by_what_was_cut_off(speeds, batch, most=True):
    """Each rounded, and one more or less for those from whom rounding down would cut off most, or least."""
    ideal = [batch * speed / sum(speeds) for speed in speeds]
    order = sorted(range(len(speeds)), key=lambda rank: (ideal[rank] % 1) * (-1 if most else 1))
    return corrected(lambda speeds: order)(speeds, batch)


def by_what_was_not_cut_off(speeds, batch):
    return by_what_was_cut_off(speeds, batch, most=False)


def of_what_is_left(speeds, batch, rounding=round):
    counts = []
    for rank, speed in enumerate(speeds):
        counts.append(rounding((batch - sum(counts)) * speed / sum(speeds[rank:])))
    return counts


def of_what_is_left_rounded_up(speeds, batch):
    return of_what_is_left(speeds, batch, math.ceil)


def to_who_is_done_first(speeds, batch):
    counts = [0] * len(speeds)
    for _ in range(batch):
        counts[max(range(len(speeds)), key=lambda rank: speeds[rank] / (counts[rank] + 1))] += 1
    return counts


def between_sums_rounded_down(speeds, batch):
    ends = np.floor(batch * np.cumsum(speeds) / sum(speeds) + 1e-9).astype(int)
    return tuple(np.diff(ends, prepend=0))


def to_who_lacks_most(speeds, batch):
    counts = [0] * len(speeds)
    for _ in range(batch):
        lacks = [batch * speed / sum(speeds) - n for speed, n in zip(speeds, counts, strict=True)]
        counts[lacks.index(max(lacks))] += 1
    return counts


test_any_style_passes = passes(
    exercise.shares,
    to_who_lacks_most,
    between_sums_rounded_down,
    between_rounded_sums,
    by_numpy,
    a_list_of_numpys_integers,
    as_a_tensor,
)

test_a_mistake_is_named = refused(
    exercise.shares,
    (to_who_is_done_first, "rank 0 has 5, its fair share is 4.00"),
    (of_what_is_left_rounded_up, "its fair share is"),
    (by_what_was_cut_off, "rank 0 has 3, its fair share is 1.60"),
    (by_what_was_not_cut_off, "its fair share is"),
    (of_what_is_left, "its fair share is 14.00"),
    (rest_to(last_first), "rank 3 has 2, its fair share is 1.00"),
    (rest_to(slowest_first), "rank 3 has 2, its fair share is 1.00"),
    (rest_to(fastest_first), "rank 0 has 5, its fair share is 4.00"),
    (corrected(slowest_first), "rank 3 has 0, its fair share is 1.00"),
    (corrected(fastest_first), "rank 0 has 3, its fair share is 4.00"),
    (corrected(last_first), "its fair share is"),
    (rounded, "add up to 513"),
    (rest_to_one, "rank 0 has 110, its fair share is 105.57"),
    (equal, "all would wait for the slowest"),
    (turned_round, "the faster a node, the smaller its share"),
    (lambda v, b: [b * s / sum(v) for s in v], "there are no parts of digits"),
    (lambda v, b: [b], "a list of 2 whole numbers"),
    (
        the_rest_one_by_one_from_rank_0,
        "rank 0 has 4, its fair share is 3.00: hand out what rounding left over",
    ),
    (for_nodes_in_order_of_speed, "the faster a node, the smaller its share"),
    (rounded_and_the_rest_to_rank_0, "you round each share and let one node carry"),
)
