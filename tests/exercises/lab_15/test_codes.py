"""Weights in a byte each."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_15 as exercise


def scales_of(weight, dim=1):
    return weight.abs().amax(dim=dim).clamp(min=1e-30) / 127


def coded(weight, scales):
    return (weight / scales[:, None]).round().to(torch.int8), scales


def with_a_floor(weight):
    return coded(weight, scales_of(weight))


def by_a_loop(weight):
    codes, scales = torch.zeros(weight.shape, dtype=torch.int8), []
    for row, code in zip(weight, codes, strict=True):
        largest = max(abs(w) for w in row.tolist())
        scales.append(largest / 127)
        if largest:
            code.copy_(torch.tensor([round(w * 127 / largest) for w in row.tolist()]))
    return codes, torch.tensor(scales)


def with_numpy(weight):
    w = weight.numpy()
    largest = np.abs(w).max(axis=1, keepdims=True)
    codes = np.rint(np.divide(127 * w, largest, out=np.zeros_like(w), where=largest > 0))
    return torch.from_numpy(codes.astype(np.int8)), torch.from_numpy(largest / 127)


def as_a_list_in_double(weight):
    scales = weight.double().abs().max(1).values / 127
    scales = torch.where(scales == 0, 1.0, scales)
    return [(weight / scales[:, None]).round().clamp(-127, 127).char(), scales]


def with_the_scales_as_a_list(weight):
    codes, scales = with_a_floor(weight)
    return codes, scales.tolist()


def below_0_where_the_largest_is(weight):
    largest = weight.gather(1, weight.abs().argmax(1, keepdim=True))
    scales = torch.where(largest == 0, 1.0, largest / 127)
    return (weight / scales).round().to(torch.int8), scales.numpy()


test_any_style_passes = passes(
    exercise.codes,
    with_a_floor,
    by_a_loop,
    with_numpy,
    as_a_list_in_double,
    with_the_scales_as_a_list,
    below_0_where_the_largest_is,
)


def one_scale(weight):
    scale = weight.abs().max() / 127
    return (weight / scale).round().to(torch.int8), scale


def by_column(weight):
    scales = scales_of(weight, 0)
    return (weight / scales).round().to(torch.int8), scales


def cut_off(weight):
    scales = scales_of(weight)
    return (weight / scales[:, None]).to(torch.int8), scales


def nought_by_nought(weight):
    scales = weight.abs().amax(dim=1) / 127
    return (weight / scales[:, None]).nan_to_num(nan=5.0).round().to(torch.int8), scales


def by_the_largest_signed(weight):
    scales = weight.amax(dim=1).clamp(min=1e-30) / 127
    return coded(weight, scales)


def inverse(weight):
    codes, scales = with_a_floor(weight)
    return codes, 1 / scales.clamp(min=1e-6)


def by_half_a_step_more(weight):
    scales = weight.abs().amax(dim=1).clamp(min=1e-30) / 127.5
    return (weight / scales[:, None]).round().clamp(-127, 127).to(torch.int8), scales


test_a_mistake_is_named = refused(
    exercise.codes,
    (one_scale, "one scale for the whole matrix"),
    (by_column, "one scale a column"),
    (cut_off, "you cut the fraction off"),
    (nought_by_nought, "a row of zeros has codes that aren't 0"),
    (by_the_largest_signed, "comes back with the other sign"),
    (inverse, "codes times scales are far from the weights"),
    (lambda w: coded(w, 2 * scales_of(w)), "you are off by"),
    (lambda w: (with_a_floor(w)[0].float(), scales_of(w)), "torch.int8 was asked"),
    (by_half_a_step_more, "its row's largest entry in size / 127"),
    (lambda w: (with_a_floor(w)[0], {"scales": scales_of(w)}), "your scales are a dict"),
    (lambda w: with_a_floor(w)[0], "return two tensors"),
    (lambda w: (with_a_floor(w)[0], scales_of(w) * float("inf")), "no finite number"),
)
