"""Stages of equal cost: any best cut."""

from functools import cache
from itertools import combinations, pairwise

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_08 as exercise


def even(costs, stages):
    return [len(costs) // stages + (s < len(costs) % stages) for s in range(stages)]


def greedy(costs, stages):
    """Fill each stage up to the mean."""
    mean, sizes, load = sum(costs) / stages, [0], 0
    for place, cost in enumerate(costs):
        left = len(costs) - place
        full = load + cost > mean or left <= stages - len(sizes)
        if sizes[-1] and full and len(sizes) < stages:
            sizes.append(0)
            load = 0
        sizes[-1] += 1
        load += cost
    return sizes


def by(measure):
    """The cut with the least ``measure`` of its stages' costs."""

    def cut(costs, stages):
        cuts = [(0, *inner, len(costs)) for inner in combinations(range(1, len(costs)), stages - 1)]
        best = min(cuts, key=lambda cut: measure([sum(costs[a:b]) for a, b in pairwise(cut)]))
        return [b - a for a, b in pairwise(best)]

    return cut


def by_a_limit_alone(costs, stages):
    """The least limit under which filling one stage after another makes no stage too many."""
    for limit in range(max(costs), sum(costs) + 1):
        sizes, load = [0], 0
        for cost in costs:
            if load + cost > limit:
                sizes.append(0)
                load = 0
            sizes[-1], load = sizes[-1] + 1, load + cost
        if len(sizes) <= stages:
            return sizes
    return [len(costs)]


def by_trying_all_cuts(costs, stages):
    cuts = [(0, *inner, len(costs)) for inner in combinations(range(1, len(costs)), stages - 1)]
    best = min(cuts, key=lambda cut: max(sum(costs[a:b]) for a, b in pairwise(cut)))
    return [b - a for a, b in pairwise(best)]


def by_recursion(costs, stages):
    @cache
    def best(start, left):
        if left == 1:
            return sum(costs[start:]), (len(costs) - start,)
        found = []
        for end in range(start + 1, len(costs) - left + 2):
            slowest, sizes = best(end, left - 1)
            found.append((max(sum(costs[start:end]), slowest), (end - start, *sizes)))
        return min(found)

    return best(0, stages)[1]


def by_trying_limits(costs, stages):
    for limit in range(max(costs), sum(costs) + 1):
        sizes, load = [0], 0
        for place, cost in enumerate(costs):
            must = len(costs) - place == stages - len(sizes)
            if sizes[-1] and (load + cost > limit or must):
                sizes.append(0)
                load = 0
            sizes[-1], load = sizes[-1] + 1, load + cost
        if len(sizes) == stages:
            return np.array(sizes)


def as_a_tensor(costs, stages):
    return torch.tensor(by_trying_all_cuts(costs, stages))


test_any_style_passes = passes(
    exercise.balance, by_trying_all_cuts, by_recursion, by_trying_limits, as_a_tensor
)

test_a_mistake_is_named = refused(
    exercise.balance,
    (even, "equally many layers are not equal costs"),
    (greedy, "another cut is better"),
    (by(lambda loads: sum(load**2 for load in loads)), "has a stage of 8, and 7 can be reached"),
    (by(lambda loads: max(loads) - min(loads)), "has a stage of 8, and 7 can be reached"),
    (lambda costs, stages: [sum(even(costs, stages)[: s + 1]) for s in range(stages)], "where to cut"),
    (lambda costs, stages: [len(costs)] + [0] * (stages - 1), "every stage gets at least one"),
    (by_a_limit_alone, "costs [1, 1, 1, 9], 3 stages: you return 2 numbers: one a stage was asked"),
    (lambda costs, stages: [len(costs)], "one a stage was asked"),
    (lambda costs, stages: [1] * stages, "layers of"),
    (lambda costs, stages: sum(costs), "your list of layers a stage is a int: a list was asked"),
)
