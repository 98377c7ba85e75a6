"""A bias is added once, wherever."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_09 as exercise


def biased(node, x, weight, bias):
    total = x @ weight.T + bias
    node.all_reduce(total)
    return total


def silent(node, x, weight, bias):
    return x @ weight.T + bias


def averaged(node, x, weight, bias):
    total = x @ weight.T
    node.all_reduce(total, op="mean")
    return total + bias


def unbiased(node, x, weight, bias):
    total = x @ weight.T
    node.all_reduce(total)
    return total


def twice(node, x, weight, bias):
    total = x @ weight.T
    node.all_reduce(total)
    node.all_reduce(total, op="mean")
    return total + bias


def divides_the_callers_bias(node, x, weight, bias):
    bias /= node.world_size
    total = x @ weight.T + bias
    node.all_reduce(total)
    return total


def torchs_linear_then_the_bias(node, x, weight, bias):
    out = torch.nn.functional.linear(x, weight)
    node.all_reduce(out)
    return out.add_(bias)


def on_rank_0_only(node, x, weight, bias):
    out = torch.einsum("bd,od->bo", x, weight) + (bias if node.rank == 0 else 0)
    node.all_reduce(out, op="sum")
    return out


def an_nth_on_each(node, x, weight, bias):
    out = torch.addmm(bias / node.world_size, x, weight.t())
    node.all_reduce(out)
    return out


def a_mean_times_n(node, x, weight, bias):
    rows = torch.stack([weight @ row for row in x])
    node.all_reduce(rows, op="mean")
    return rows * node.world_size + bias


test_any_style_passes = passes(
    exercise.bias, torchs_linear_then_the_bias, on_rank_0_only, an_nth_on_each, a_mean_times_n
)

test_a_mistake_is_named = refused(
    exercise.bias,
    (biased, "the bias is in it 2 times"),
    (silent, "what its own inputs give"),
    (averaged, "that is the mean over nodes"),
    (unbiased, "the bias isn't in it"),
    (divides_the_callers_bias, "your function changes its argument bias"),
    (twice, "One all-reduce of the output is enough"),
)
