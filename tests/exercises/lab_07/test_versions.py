"""Staleness from the order of arrival."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_07 as exercise


def counted(shift=0, more=0):
    """A learner's count, who has workers read ``shift`` before they should, or adds ``more``."""

    def staleness_of(arrivals):
        read, found = {}, []
        for version, worker in enumerate(arrivals):
            found.append(version - read.get(worker, 0) + more)
            read[worker] = version + 1 - shift
        return found

    return staleness_of


def the_version(arrivals):
    return list(range(len(arrivals)))


def workers_less_one(arrivals):
    return [len(set(arrivals)) - 1] * len(arrivals)


def one_number(arrivals):
    return len(set(arrivals)) - 1


def all_others_before(arrivals):
    return [sum(other != worker for other in arrivals[:k]) for k, worker in enumerate(arrivals)]


def with_a_list_for_so_many_ranks(arrivals):
    read, found = [0] * (len(set(arrivals)) + 1), []
    for version, worker in enumerate(arrivals):
        found.append(version - read[worker])
        read[worker] = version + 1
    return found


def looking_back(arrivals):
    found = []
    for k, worker in enumerate(arrivals):
        before = [j for j in range(k) if arrivals[j] == worker]
        found.append(k - 1 - before[-1] if before else k)
    return tuple(found)


def counting_everybody_up(arrivals):
    stale, found = dict.fromkeys(arrivals, 0), []
    for worker in arrivals:
        found.append(stale[worker])
        stale = {other: n + 1 for other, n in stale.items()} | {worker: 0}
    return found


def by_numpy(arrivals):
    a = np.array(arrivals)
    return np.array([k - 1 - np.max(np.flatnonzero(a[:k] == a[k]), initial=-1) for k in range(len(a))])


def as_a_tensor(arrivals):
    return torch.tensor(looking_back(arrivals))


test_any_style_passes = passes(
    exercise.versions, counted(), looking_back, counting_everybody_up, by_numpy, as_a_tensor
)

test_a_mistake_is_named = refused(
    exercise.versions,
    (counted(shift=1), "that one is in what it reads"),
    (counted(more=1), "each is 1 too many"),
    (the_version, "that is the version; a worker reads again"),
    (workers_less_one, "number 0, of rank 1, is of staleness 0"),
    (one_number, "your list is a int: a list was asked"),
    (with_a_list_for_so_many_ranks, "your code raised IndexError"),
    (all_others_before, "count from its worker's last one"),
)
