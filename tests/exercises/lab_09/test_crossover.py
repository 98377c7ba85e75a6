"""Which of the two sends less: the batch at which both send as much."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_09 as exercise


def counted(widths, *, data=False, backward=True, hidden=False):
    blocks = list(zip(widths[:-2:2], widths[1::2], widths[2::2], strict=True))
    parameters = sum(h * d + h + o * h + o for d, h, o in blocks)
    sent = sum(o for *_, o in blocks)
    if backward:
        sent += sum(d for d, *_ in blocks[0 if data else 1 :])
    return parameters / (sum(widths) if hidden else sent)


def two_outputs_a_block(widths):
    return counted(widths) * (sum(widths[2::2]) + sum(widths[2:-2:2])) / (2 * sum(widths[2::2]))


def without_biases(widths):
    return sum(a * b for a, b in pairwise(widths)) / (sum(widths[2::2]) + sum(widths[2:-2:2]))


def block_by_block_off_the_list(widths):
    parameters, sent = 0, -widths[0]
    while len(widths) > 1:
        d, h, o = widths.pop(0), widths.pop(0), widths[0]
        parameters, sent = parameters + (d + 1) * h + (h + 1) * o, sent + d + o
    return parameters / sent


def in_one_formula(widths):
    return sum((a + 1) * b for a, b in pairwise(widths)) / (2 * sum(widths[2::2]) - widths[-1])


def rounded_up(widths):
    return math.ceil(in_one_formula(widths))


def of_torchs_layers(widths):
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(widths)]
    parameters = sum(p.numel() for layer in layers for p in layer.parameters())
    sent = sum(layer.out_features for layer in layers[1::2]) + sum(
        layer.in_features for layer in layers[2::2]
    )
    return Fraction(parameters, sent)


def by_numpy(widths):
    w = np.array(widths)
    return (w[:-1] @ w[1:] + w[1:].sum()) / (w[2::2].sum() + w[2:-2:2].sum())


test_any_style_passes = passes(exercise.crossover, in_one_formula, rounded_up, of_torchs_layers, by_numpy)

test_a_mistake_is_named = refused(
    exercise.crossover,
    (lambda widths: counted(widths, data=True), "the gradient of the data as well"),
    (lambda widths: counted(widths, backward=False), "forward only"),
    (lambda widths: counted(widths, hidden=True), "hidden units never leave"),
    (lambda widths: 4 * counted(widths), "bytes on one side"),
    (lambda widths: 256, "and 201217 was asked"),
    (two_outputs_a_block, "not its output's again"),
    (block_by_block_off_the_list, "your function changes its argument widths"),
    (without_biases, "the biases are parameters too"),
)
