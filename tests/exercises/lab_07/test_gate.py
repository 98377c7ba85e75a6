"""The gate of a bound."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_07 as exercise


def as_a_set(clocks, bound):
    return {w for w, c in enumerate(clocks) if c <= min(clocks) + bound}


def by_numpy(clocks, bound):
    return np.flatnonzero(np.array(clocks) - min(clocks) <= bound)


def as_a_tensor(clocks, bound):
    return (torch.tensor(clocks) <= min(clocks) + bound).nonzero().flatten()


def by_a_loop(clocks, bound):
    slowest, found = sorted(clocks)[0], []
    for place in range(len(clocks)):
        if not clocks[place] > slowest + bound:
            found.append(place)
    return tuple(found)


def slowest_so_far(clocks, bound):
    return [w for w, c in enumerate(clocks) if c - min(clocks[: w + 1]) <= bound]


def whoever_must_wait(clocks, bound):
    return [w for w, c in enumerate(clocks) if c - min(clocks) > bound]


test_any_style_passes = passes(exercise.gate, as_a_set, by_numpy, as_a_tensor, by_a_loop)

test_a_mistake_is_named = refused(
    exercise.gate,
    (
        lambda clocks, bound: [w for w, c in enumerate(clocks) if c - min(clocks) < bound],
        "a gap of just the bound is still allowed",
    ),
    (
        lambda clocks, bound: [w for w, c in enumerate(clocks) if max(clocks) - c <= bound],
        "you measured from the fastest",
    ),
    (lambda clocks, bound: [c for c in clocks if c - min(clocks) <= bound], "those are the clocks"),
    (lambda clocks, bound: [w for w, c in enumerate(clocks) if c - clocks[0] <= bound], "from the first"),
    (slowest_so_far, "you let [0, 1, 2, 3] go on, and [1, 2, 3] may"),
    (lambda clocks, bound: True, "your list of places is a bool: a list was asked"),
    (lambda clocks, bound: list(range(len(clocks))), "you let [0, 1, 2] go on, and [0, 2] may"),
    (whoever_must_wait, "those are the ones who must wait"),
)
