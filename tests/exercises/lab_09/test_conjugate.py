"""The conjugate operator: a sum of what each node finds."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_09 as exercise


def own_part(node, x, partial, d_output):
    return torch.autograd.grad(partial, x, d_output)[0]


def both_reduced(node, x, partial, d_output):
    d_output = d_output.clone()
    node.all_reduce(d_output)
    d_x = own_part(node, x, partial, d_output)
    node.all_reduce(d_x)
    return d_x


def output_reduced(node, x, partial, d_output):
    d_output = d_output.clone()
    node.all_reduce(d_output)
    return own_part(node, x, partial, d_output)


def mean_of_parts(node, x, partial, d_output):
    d_x = own_part(node, x, partial, d_output)
    node.all_reduce(d_x, op="mean")
    return d_x


def by_backward(node, x, partial, d_output):
    partial.backward(d_output)
    d_x = x.grad.clone()
    node.all_reduce(d_x)
    return d_x


def of_a_scalar(node, x, partial, d_output):
    d_x = torch.autograd.grad((partial * d_output).sum(), x)[0].contiguous()
    node.all_reduce(d_x, op="sum")
    return d_x


def entry_by_entry(node, x, partial, d_output):
    d_x = torch.zeros_like(x)
    for output, slope in zip(partial.flatten(), d_output.flatten(), strict=True):
        d_x += slope * torch.autograd.grad(output, x, retain_graph=True)[0]
    node.all_reduce(d_x)
    return d_x


def a_mean_times_n(node, x, partial, d_output):
    d_x = own_part(node, x, partial, d_output)
    node.all_reduce(d_x, op="mean")
    return d_x * node.world_size


def two_exchanges(node, x, partial, d_output):
    d_x = own_part(node, x, partial, d_output)
    node.all_reduce(d_x)
    node.broadcast(d_x, 0)
    return d_x


test_any_style_passes = passes(exercise.conjugate, by_backward, of_a_scalar, entry_by_entry, a_mean_times_n)

test_a_mistake_is_named = refused(
    exercise.conjugate,
    (own_part, "only this node's units"),
    (both_reduced, "2 times too large"),
    (output_reduced, "you all-reduce d_output"),
    (mean_of_parts, "that is the mean"),
    (two_exchanges, "One all-reduce of the size of x is enough"),
)
