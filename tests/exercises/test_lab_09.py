"""Lab 09's exercises: likely mistakes are named, other right ways pass."""

import pytest
import torch
from exercising import said

from ddl_lab.exercises import lab_09
from ddl_lab.exercises.machine import NOT_YET


def dropping(hidden, nodes, rank):
    return rank * (hidden // nodes), (rank + 1) * (hidden // nodes)


def rounding_up(hidden, nodes, rank):
    size = -(-hidden // nodes)
    return min(rank * size, hidden), min((rank + 1) * size, hidden)


def inclusive(hidden, nodes, rank):
    start, stop = lab_09.units.reference(hidden, nodes, rank)
    return start, stop - 1


def smaller_first(hidden, nodes, rank):
    return rank * hidden // nodes, (rank + 1) * hidden // nodes


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


def counted(widths, *, data=False, backward=True, hidden=False):
    blocks = list(zip(widths[:-2:2], widths[1::2], widths[2::2], strict=True))
    parameters = sum(h * d + h + o * h + o for d, h, o in blocks)
    sent = sum(o for *_, o in blocks)
    if backward:
        sent += sum(d for d, *_ in blocks[0 if data else 1 :])
    return parameters / (sum(widths) if hidden else sent)


def everything(parameters, nodes, stage, each):
    return parameters * sum(each) / (nodes if stage else 1)


def parameters_first(parameters, nodes, stage, each):
    return lab_09.memory.reference(parameters, nodes, stage, each[::-1])


def one_at_a_time(parameters, nodes, stage, each):
    parts = [size / (nodes if stage == 3 - place else 1) for place, size in enumerate(each)]
    return parameters * sum(parts)


def whole_cluster(parameters, nodes, stage, each):
    return nodes * lab_09.memory.reference(parameters, nodes, stage, each)


def first_fastest(rank, shape):
    found = []
    for size in shape:
        rank, here = divmod(rank, size)
        found.append(here)
    return tuple(found)


def reversed_place(rank, shape):
    return lab_09.place.reference(rank, shape)[::-1]


WRONG = [
    (lab_09.units, dropping, "nobody has the last units, from 255 on: hidden // nodes drops them"),
    (lab_09.units, rounding_up, "differ by one at most"),
    (lab_09.units, inclusive, "stop is one past the last unit"),
    (lab_09.units, smaller_first, "the larger ones first"),
    (lab_09.units, lambda hidden, nodes, rank: slice(0, hidden), "two whole numbers"),
    (lab_09.bias, biased, "the bias is in it 2 times"),
    (lab_09.bias, silent, "what its own inputs give"),
    (lab_09.bias, averaged, "that is the mean over nodes"),
    (lab_09.bias, unbiased, "the bias isn't in it"),
    (lab_09.bias, twice, "One all-reduce of the output is enough"),
    (lab_09.conjugate, own_part, "only this node's units"),
    (lab_09.conjugate, both_reduced, "2 times too large"),
    (lab_09.conjugate, output_reduced, "you all-reduce d_output"),
    (lab_09.conjugate, mean_of_parts, "that is the mean"),
    (lab_09.crossover, lambda widths: counted(widths, data=True), "the gradient of the data as well"),
    (lab_09.crossover, lambda widths: counted(widths, backward=False), "forward only"),
    (lab_09.crossover, lambda widths: counted(widths, hidden=True), "hidden units never leave"),
    (lab_09.crossover, lambda widths: 4 * counted(widths), "bytes on one side"),
    (lab_09.crossover, lambda widths: 256, "both send as many bytes at"),
    (lab_09.memory, everything, "and that is stage 3"),
    (lab_09.memory, parameters_first, "states are sharded first"),
    (lab_09.memory, one_at_a_time, "keeps what the stages before it have sharded"),
    (lab_09.memory, whole_cluster, "64 is the node count"),
    (lab_09.place, first_fastest, "your first dimension counts fastest"),
    (lab_09.place, reversed_place, "from back to front"),
    (lab_09.place, lambda rank, shape: (*[0] * (len(shape) - 1), rank), "lies outside the mesh"),
    (lab_09.place, lambda rank, shape: (rank,), "1 coordinates for 3 dimensions"),
    (lab_09.place, lambda rank, shape: rank, "one coordinate for each dimension"),
]


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_a_likely_mistake_is_named(exercise, answer, words):
    state, text = said(exercise, answer)
    assert state == NOT_YET
    assert words in text
