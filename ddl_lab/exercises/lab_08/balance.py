"""Stages of equal cost: layers cut so that the slowest stage is as fast as can be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import items, whole


def _balance(costs, stages):  # type: ignore[no-untyped-def]
    # by layers placed so far: the slowest stage, and how many layers each stage has
    best = {end: (sum(costs[:end]), [end]) for end in range(1, len(costs) + 1)}
    for _ in range(stages - 1):
        best = {
            end: min(
                (max(slowest, sum(costs[placed:end])), [*sizes, end - placed])
                for placed, (slowest, sizes) in best.items()
                if placed < end
            )
            for end in range(min(best) + 1, len(costs) + 1)
        }
    return best[len(costs)][1]


def _slowest(costs: Sequence[float], sizes: Sequence[int]) -> float:
    ends = [sum(sizes[: s + 1]) for s in range(len(sizes))]
    return max(sum(costs[end - size : end]) for end, size in zip(ends, sizes, strict=True))


def _least(costs: Sequence[float], stages: int) -> float:
    """The slowest stage of the best cut, by trying all."""
    cuts = ((0, *inner, len(costs)) for inner in combinations(range(1, len(costs)), stages - 1))
    return min(_slowest(costs, [b - a for a, b in pairwise(cut)]) for cut in cuts)


CASES: list[tuple[list[int], int]] = [
    ([3, 1, 1, 1, 1, 1, 1, 1, 1, 1], 4),
    ([5, 1, 1, 1, 1, 1], 2),
    ([2, 2, 2, 2], 4),
    ([1, 9, 1], 1),
    ([1, 2, 3, 4, 5, 6], 3),
    ([4, 3, 3, 4, 6, 1], 3),
    ([1, 1, 1, 7, 1, 1, 8], 3),
    ([1, 1, 1, 9], 3),  # one layer sets the pace: what is left fills fewer stages
    ([1, 2, 3, 7, 1], 3),  # neither the least squares nor the least spread are the least maximum here
]


def _check_balance(answer: Answer) -> str:
    for costs, stages in CASES:
        where = f"costs {costs}, {stages} stages: "
        sizes = items(call(answer, costs, stages), f"{where}your list of layers a stage")
        sizes = [whole(size, f"{where}a number of layers") for size in sizes]
        if len(sizes) != stages:
            raise Wrong(f"{where}you return {len(sizes)} numbers: one a stage was asked")
        if min(sizes) < 1:
            raise Wrong(f"{where}a stage of {min(sizes)} layers; every stage gets at least one")
        if sum(sizes) != len(costs):
            more = (
                ": you returned where to cut, it seems; how many layers was asked"
                if sizes[-1] == len(costs)
                else ""
            )
            raise Wrong(f"{where}{sizes} are {sum(sizes)} layers of {len(costs)}{more}")
        slowest, least = _slowest(costs, sizes), _least(costs, stages)
        if slowest > least:
            even = [len(costs) // stages + (s < len(costs) % stages) for s in range(stages)]
            why = "equally many layers are not equal costs" if sizes == even else "another cut is better"
            raise Wrong(f"{where}{sizes} has a stage of {slowest}, and {least} can be reached: {why}")
    return f"{len(CASES)} networks, against all cuts there are"


balance = Exercise(
    key="08.balance",
    title="Stages of equal cost",
    difficulty=3,
    minutes=15,
    reference=_balance,
    check=_check_balance,
    hints=(
        "The slowest stage sets the pace of all: make the largest sum of a stage as small as possible.",
        "Filling each stage up to the mean cost is a good guess and not always the best cut.",
        "`itertools.combinations(range(1, len(costs)), stages - 1)` has all cuts; ten layers have few.",
        "From cuts (0, a, b, …, n), the sizes are the differences of neighbours.",
    ),
)
