"""Which groups lie inside a host: by formula, by looking at every group, by NumPy."""

from itertools import product

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_10 as exercise


def one_group_on_one_host(ranks, host_size):
    return len({int(rank) // host_size for rank in ranks}) == 1


def by_every_group(shape, host_size):
    mesh = np.arange(np.prod(shape)).reshape(shape)
    lines = [np.moveaxis(mesh, k, -1).reshape(-1, shape[k]) for k in range(3)]
    return [all(one_group_on_one_host(row, host_size) for row in rows) for rows in lines]


def in_a_tensor(shape, host_size):
    hosts = torch.arange(int(np.prod(shape))).reshape(shape) // host_size
    return torch.stack([(hosts == hosts.narrow(k, 0, 1)).all() for k in range(3)])


def by_coordinates(shape, host_size):
    _, pipeline, tensor = shape
    found = [True, True, True]
    for d, p, t in product(*map(range, shape)):
        host = ((d * pipeline + p) * tensor + t) // host_size
        first = [p * tensor + t, d * pipeline * tensor + t, (d * pipeline + p) * tensor]
        found = [ok and rank // host_size == host for ok, rank in zip(found, first, strict=True)]
    return tuple(found)


def by_the_size_alone(shape, host_size):
    return [size <= host_size for size in shape]


def by_what_fits(shape, host_size):
    data, pipeline, tensor = shape
    return [size == 1 or take <= host_size for size, take in
            zip(shape, (data * pipeline * tensor, pipeline * tensor, tensor), strict=True)]  # fmt: skip


def by_the_span(shape, host_size):
    _, pipeline, tensor = shape
    strides = pipeline * tensor, tensor, 1
    return [(size - 1) * stride < host_size for size, stride in zip(shape, strides, strict=True)]


def fits_and(divides):
    def inside(shape, host_size):
        _, pipeline, tensor = shape
        pairs = zip(shape, (pipeline * tensor, tensor, 1), strict=True)
        return [n == 1 or (n * s <= host_size and host_size % divides(n, s) == 0) for n, s in pairs]

    return inside


def never_along_data(shape, host_size):
    return [shape[0] == 1, *exercise.inside.reference(shape, host_size)[1:]]


def first_fastest(shape, host_size):
    return exercise.inside.reference(shape[::-1], host_size)[::-1]


def the_crossing_ones(shape, host_size):
    return [not one for one in exercise.inside.reference(shape, host_size)]


def the_crossing_ones_and_single_ranks(shape, host_size):
    _, pipeline, tensor = shape
    pairs = zip(shape, (pipeline * tensor, tensor, 1), strict=True)
    return [n == 1 or host_size % (n * s) != 0 for n, s in pairs]


def without_a_group_of_one(shape, host_size):
    data, pipeline, tensor = shape
    takes = data * pipeline * tensor, pipeline * tensor, tensor
    return [host_size % take == 0 for take in takes]


test_any_style_passes = passes(exercise.inside, by_every_group, in_a_tensor, by_coordinates)

test_a_mistake_is_named = refused(
    exercise.inside,
    (by_the_size_alone, "its members are 16 apart"),
    (by_what_fits, "lies across two hosts"),
    (by_the_span, "groups along pipeline take 6 ranks, which don't divide a host's 4"),
    (fits_and(lambda n, s: n), "groups along pipeline take 6 ranks, which don't divide a host's 8"),
    (fits_and(lambda n, s: s), "groups along tensor take 3 ranks, which don't divide a host's 4"),
    (never_along_data, "a group along data is ranks 0, 4, all on one host"),
    (first_fastest, "first dimension count fastest"),
    (the_crossing_ones, "those that cross"),
    (without_a_group_of_one, "crosses nothing"),
    (lambda shape, host_size: [False, False, False], "all on one host"),
    (
        the_crossing_ones_and_single_ranks,
        "those that cross",
    ),
    (lambda shape, host_size: [8, 1, 1], "True or False was asked"),
    (lambda shape, host_size: [True], "1 answers for three dimensions"),
)
