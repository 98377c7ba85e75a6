"""Where a rank stands, in any kind of list."""

import math
from itertools import product

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_10 as exercise


def first_fastest(rank, shape):
    found = []
    for size in shape:
        rank, here = divmod(rank, size)
        found.append(here)
    return tuple(found)


def reversed_place(rank, shape):
    return exercise.place.reference(rank, shape)[::-1]


def by_counting_up(rank, shape):
    return list(product(*map(range, shape)))[rank]


def by_numpys_call(rank, shape):
    return np.unravel_index(rank, shape)


def as_a_tensor(rank, shape):
    mesh = torch.arange(math.prod(shape)).reshape(shape)
    return (mesh == rank).nonzero()[0]


def by_recursion(rank, shape):
    if not shape:
        return []
    ahead, rest = divmod(rank, math.prod(shape[1:]))
    return [ahead, *by_recursion(rest, shape[1:])]


test_any_style_passes = passes(exercise.place, by_counting_up, by_numpys_call, as_a_tensor, by_recursion)

test_a_mistake_is_named = refused(
    exercise.place,
    (first_fastest, "your first dimension counts fastest"),
    (reversed_place, "from back to front"),
    (lambda rank, shape: (*[0] * (len(shape) - 1), rank), "lies outside the mesh"),
    (lambda rank, shape: (rank,), "1 coordinates for 3 dimensions"),
    (lambda rank, shape: rank, "what you return is a int: a list was asked"),
)
