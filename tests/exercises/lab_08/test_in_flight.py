"""What is in flight at the most."""

from itertools import accumulate, groupby

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_08 as exercise


def before_the_backward(order):
    most = now = 0
    for kind, _ in order:
        most = max(most, now)
        now += 1 if kind == "forward" else -1
    return most - 1


def at_the_end(order):
    return sum(1 if kind == "forward" else -1 for kind, _ in order)


def longest_run_of_forwards(order):
    runs = groupby(kind for kind, _ in order)
    return max(len(list(run)) for kind, run in runs if kind == "forward")


def before_the_first_backward(order):
    return [kind for kind, _ in order].index("backward")


def by_the_last_numbers(order):
    last, most = {"forward": -1, "backward": -1}, 0
    for kind, micro in order:
        last[kind] = micro
        most = max(most, last["forward"] - last["backward"])
    return most


def by_running_sums(order):
    return max(accumulate(1 if kind == "forward" else -1 for kind, _ in order))


def by_a_set(order):
    there, most = set(), 0
    for kind, micro in order:
        (there.add if kind == "forward" else there.discard)(micro)
        most = max(most, len(there))
    return most


def by_numpy(order):
    return np.cumsum([1 if kind == "forward" else -1 for kind, _ in order]).max()


def by_counting_each_beginning(order):
    kinds = [kind for kind, _ in order]
    seen = [kinds[: end + 1] for end in range(len(kinds))]
    return max(part.count("forward") - part.count("backward") for part in seen)


def as_a_tensor(order):
    return torch.tensor([1 if kind == "forward" else -1 for kind, _ in order]).cumsum(0).max()


test_any_style_passes = passes(
    exercise.in_flight, by_running_sums, by_a_set, by_numpy, by_counting_each_beginning, as_a_tensor
)

test_a_mistake_is_named = refused(
    exercise.in_flight,
    (lambda order: len(order) // 2, "a backward lets its micro-batch go"),
    (at_the_end, "0 is what is left at the end"),
    (before_the_backward, "look after the forward, before the backward"),
    (lambda order: 77, "the most in flight is 77"),
    (longest_run_of_forwards, "the longest run of forwards"),
    (by_the_last_numbers, "the order F0 F1 B1 B0 F2 F3 B3 B2: the most in flight is 3, and 2 was asked"),
    (before_the_first_backward, "the forwards before the first backward"),
)
