"""Lab 08's last two exercises: cut a network of unequal layers, and find who waits forever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from typing import Any

from .machine import Exercise, Wrong, call

# 08.balance


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
]


def _check_balance(answer: Callable[..., Any]) -> str:
    for costs, stages in CASES:
        sizes, where = call(answer, costs, stages), f"costs {costs}, {stages} stages: "
        if not isinstance(sizes, list | tuple) or not all(type(size) is int for size in sizes):
            raise Wrong(f"{where}a list of whole numbers was asked, layers a stage; you returned {sizes!r}")
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
            why = (
                "equally many layers are not equal costs" if list(sizes) == even else "another cut is better"
            )
            raise Wrong(f"{where}{list(sizes)} has a stage of {slowest}, and {least} can be reached: {why}")
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


# 08.deadlock


def _stuck(programs):  # type: ignore[no-untyped-def]
    place = [0] * len(programs)

    def current(node):  # type: ignore[no-untyped-def]
        return programs[node][place[node]] if place[node] < len(programs[node]) else None

    moved = True
    while moved:
        moved = False
        for node in range(len(programs)):
            call = current(node)
            if call and call[0] == "send" and current(call[1]) == ("recv", node):
                place[node] += 1
                place[call[1]] += 1
                moved = True
    return [node for node in range(len(programs)) if current(node)]


PROGRAMS: list[tuple[str, list[list[tuple[str, int]]], list[int]]] = [
    ("one message", [[("send", 1)], [("recv", 0)]], []),
    ("both send first", [[("send", 1), ("recv", 1)], [("send", 0), ("recv", 0)]], [0, 1]),
    ("one receives first", [[("send", 1), ("recv", 1)], [("recv", 0), ("send", 0)]], []),
    ("a ring of sends", [[("send", (r + 1) % 3), ("recv", (r - 1) % 3)] for r in range(3)], [0, 1, 2]),
    ("a message too few", [[("recv", 1), ("recv", 1)], [("send", 0)]], [0]),
    ("nothing to do", [[], [("recv", 2)], [("send", 1)]], []),
    (
        "a deadlock of two after messages that work, and a third who waits for them",
        [
            [("send", 1), ("send", 1), ("recv", 1)],
            [("recv", 0), ("send", 0), ("recv", 0), ("send", 2)],
            [("recv", 1)],
            [],
        ],
        [0, 1, 2],
    ),
    (
        "1F1B with sends that wait",
        [[("send", 1), ("send", 1), ("recv", 1), ("recv", 1)], [("recv", 0), ("send", 0)] * 2],
        [0, 1],
    ),
    (
        "GPipe with sends that wait",
        [[("send", 1)] * 2 + [("recv", 1)] * 2, [("recv", 0)] * 2 + [("send", 0)] * 2],
        [],
    ),
]


def _check_stuck(answer: Callable[..., Any]) -> str:
    for name, programs, right in PROGRAMS:
        got = call(answer, programs)
        if isinstance(got, bool) or not isinstance(got, list | tuple | set):
            raise Wrong(f"{name}: a list of nodes was asked, empty where all end; you returned {got!r}")
        if sorted(got) == right:
            continue
        missing, more = sorted(set(right) - set(got)), sorted(set(got) - set(right))
        if more:
            raise Wrong(
                f"{name}: {programs} — node {more[0]} does get to its end: a send and its recv move both on"
            )
        raise Wrong(
            f"{name}: {programs} — node {missing[0]} waits forever, and you leave it out: "
            "go on until nobody can move, then look who isn't done"
        )
    return f"{len(PROGRAMS)} programs, with and without a deadlock"


deadlock = Exercise(
    key="08.deadlock",
    title="Who waits forever",
    difficulty=3,
    minutes=15,
    reference=_stuck,
    check=_check_stuck,
    hints=(
        "Play it: keep for each node the place of the call where it stands.",
        "A message moves when a node stands at a send to one that stands at the recv from it: both go on.",
        "Repeat until a whole round over the nodes moves nobody. Who isn't at the end then never will be.",
    ),
)
