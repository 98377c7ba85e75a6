"""Which slice is whose: by arithmetic, by a split, as a pair or a slice."""

import math

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_06 as exercise


def without_the_rest(server, servers, size):
    base = size // servers
    return server * base, (server + 1) * base


def rounded_up(server, servers, size):
    base = math.ceil(size / servers)
    return server * base, min(size, (server + 1) * base)


def beyond_the_end(server, servers, size):
    base = math.ceil(size / servers)
    return server * base, (server + 1) * base


def rest_to_the_last(server, servers, size):
    base = size // servers
    return server * base, size if server == servers - 1 else (server + 1) * base


def larger_ones_last(server, servers, size):
    return server * size // servers, (server + 1) * size // servers


def one_early(server, servers, size):
    start, stop = exercise.slices.reference(server, servers, size)
    return start, stop - 1


def on_two(server, servers, size):
    start, stop = exercise.slices.reference(server, servers, size)
    return start, min(size, stop + 1)


def right_lengths_at_wrong_places(server, servers, size):
    base, rest = divmod(size, servers)
    return server * base, server * base + base + (server < rest)


def from_the_other_end(server, servers, size):
    return exercise.slices.reference(servers - 1 - server, servers, size)


def counted_from_the_end(server, servers, size):
    start, stop = exercise.slices.reference(server, servers, size)
    return start - size, stop - size


def by_the_lengths_before(server, servers, size):
    lengths = [size // servers + (s < size % servers) for s in range(servers)]
    return sum(lengths[:server]), sum(lengths[: server + 1])


def by_torchs_split(server, servers, size):
    ends = torch.tensor([len(part) for part in torch.arange(size).tensor_split(servers)]).cumsum(0)
    return torch.stack([ends[server] - -(-(size - server) // servers), ends[server]])


def by_numpys_split(server, servers, size):
    ends = np.cumsum([0, *map(len, np.array_split(np.arange(size), servers))])
    return ends[server], ends[server + 1]


def empty_ones_at_0(server, servers, size):
    mine = torch.arange(size).tensor_split(servers)[server]
    return (int(mine[0]), int(mine[-1]) + 1) if len(mine) else (0, 0)


def as_a_slice(server, servers, size):
    start, stop = by_the_lengths_before(server, servers, size)
    return slice(start, stop)


def as_a_list_by_divmod(server, servers, size):
    base, rest = divmod(size, servers)
    return [server * base + min(server, rest), (server + 1) * base + min(server + 1, rest)]


test_any_style_passes = passes(
    exercise.slices,
    by_the_lengths_before,
    by_torchs_split,
    by_numpys_split,
    as_a_slice,
    as_a_list_by_divmod,
    empty_ones_at_0,
)

test_a_mistake_is_named = refused(
    exercise.slices,
    (without_the_rest, "10 parameters on 4 servers: 2 of them lie on no server"),
    (rounded_up, "your largest slice has 3, the smallest 1"),
    (beyond_the_end, "server 3 gets (9, 12), and there are parameters 0 to 9 only"),
    (rest_to_the_last, "your largest slice has 4, the smallest 2"),
    (larger_ones_last, "the larger ones come first"),
    (one_early, "leaves stop out itself"),
    (on_two, "3 of them lie on two servers"),
    (right_lengths_at_wrong_places, "2 of them lie on two servers"),
    (from_the_other_end, "server 0 gets (9, 12), tensor_split gives it (0, 3): in the order of the servers"),
    (counted_from_the_end, "server 0 gets (-12, -9), and there are parameters 0 to 11 only"),
    (lambda server, servers, size: size // servers, "server 0's slice is a int: a list was asked"),
)
