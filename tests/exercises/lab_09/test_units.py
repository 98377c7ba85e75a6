"""Whose hidden units: a pair, a slice, a range."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_09 as exercise


def dropping(hidden, nodes, rank):
    return rank * (hidden // nodes), (rank + 1) * (hidden // nodes)


def rounding_up(hidden, nodes, rank):
    size = -(-hidden // nodes)
    return min(rank * size, hidden), min((rank + 1) * size, hidden)


def inclusive(hidden, nodes, rank):
    start, stop = exercise.units.reference(hidden, nodes, rank)
    return start, stop - 1


def smaller_first(hidden, nodes, rank):
    return rank * hidden // nodes, (rank + 1) * hidden // nodes


def rounding_up_beyond_the_end(hidden, nodes, rank):
    size = -(-hidden // nodes)
    return rank * size, (rank + 1) * size


def start_and_size(hidden, nodes, rank):
    start, stop = exercise.units.reference(hidden, nodes, rank)
    return start, stop - start


def rest_forgotten_in_the_start(hidden, nodes, rank):
    least, more = divmod(hidden, nodes)
    start = rank * least + (rank if rank < more else 0)
    return start, start + least + (rank < more)


def as_a_slice(hidden, nodes, rank):
    sizes = [hidden // nodes + (r < hidden % nodes) for r in range(nodes)]
    return slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))


def as_a_range(hidden, nodes, rank):
    return range(hidden)[as_a_slice(hidden, nodes, rank)]


def by_torchs_split(hidden, nodes, rank):
    mine = torch.arange(hidden).tensor_split(nodes)[rank]
    return torch.stack([mine[0], mine[-1] + 1])


def by_numpys_split(hidden, nodes, rank):
    ends = np.cumsum([0, *map(len, np.array_split(np.arange(hidden), nodes))])
    return ends[rank], ends[rank + 1]


def dealt_out_one_by_one(hidden, nodes, rank):
    sizes = [0] * nodes
    for unit in range(hidden):
        sizes[unit % nodes] += 1
    return [sum(sizes[:rank]), sum(sizes[:rank]) + sizes[rank]]


test_any_style_passes = passes(
    exercise.units, as_a_slice, as_a_range, by_torchs_split, by_numpys_split, dealt_out_one_by_one
)

test_a_mistake_is_named = refused(
    exercise.units,
    (dropping, "nobody has the last units, from 255 on: hidden // nodes drops them"),
    (rounding_up_beyond_the_end, "256 units over 3 nodes: rank 2 stops at 258, and there are 256 units"),
    (start_and_size, "rank 1 stops at 64, rank 2 starts at 128: each unit must have one node"),
    (rest_forgotten_in_the_start, "rank 0 stops at 86, rank 1 starts at 85: each unit must have one node"),
    (rounding_up, "differ by one at most"),
    (inclusive, "stop is one past the last unit"),
    (smaller_first, "the larger ones first"),
    (lambda hidden, nodes, rank: slice(0, hidden), "each unit must have one node"),
)
