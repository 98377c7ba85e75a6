"""The gate of a bound: who may go on."""

from __future__ import annotations

import math

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import items, whole


def _may_go_on(clocks, bound):  # type: ignore[no-untyped-def]
    return [worker for worker, clock in enumerate(clocks) if clock - min(clocks) <= bound]


def _check_gate(answer: Answer) -> str:
    for clocks, bound in (([3, 5, 4], 1), ([2, 2, 2], 0), ([0, 4, 2, 3], 3), ([7, 1, 1], math.inf),
                          ([1, 2, 1, 2], 0), ([4, 3, 1, 2], 2)):  # fmt: skip
        asked = _may_go_on(clocks, bound)
        got = sorted(
            whole(place, "a place") for place in items(call(answer, clocks, bound), "your list of places")
        )
        if got == asked:
            continue
        told = f"clocks {clocks}, bound {bound}: you let {got} go on, and {asked} may"
        lowest, highest = min(clocks), max(clocks)
        if got == [w for w, c in enumerate(clocks) if c - lowest < bound]:
            raise Wrong(f"{told}; a gap of just the bound is still allowed: at bound 0 all equals go on")
        if got == [w for w, c in enumerate(clocks) if highest - c <= bound]:
            raise Wrong(
                f"{told}; you measured from the fastest: who is behind must never wait, who is ahead must"
            )
        if got == [c for c in clocks if c - lowest <= bound]:
            raise Wrong(f"{told}; those are the clocks, and the workers' places were asked")
        if got == [w for w in range(len(clocks)) if w not in asked]:
            raise Wrong(f"{told}; those are the ones who must wait")
        if got == [w for w, c in enumerate(clocks) if c - clocks[0] <= bound]:
            raise Wrong(f"{told}; you measured from the first: the slowest may stand anywhere")
        raise Wrong(told)
    return "six sets of clocks, with bounds of 0, 1, 2, 3 and infinity"


gate = Exercise(
    key="07.gate",
    title="The gate of a bound",
    difficulty=1,
    minutes=4,
    reference=_may_go_on,
    check=_check_gate,
    hints=(
        "Who is the slowest? Nobody but the slowest decides how far the others may go.",
        "A worker may begin another gradient where its clock is at most `bound` ahead of the lowest clock.",
        "`enumerate(clocks)` gives places and clocks together.",
    ),
)
