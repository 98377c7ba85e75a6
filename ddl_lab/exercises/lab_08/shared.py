"""What lab 08's exercises share: a schedule's list of steps, checked before its order is judged."""

from __future__ import annotations

from ..helpers import Answer, Wrong, call
from ..values import items

SIZES = [(1, 1), (1, 4), (2, 1), (2, 4), (4, 8), (4, 2), (3, 5), (8, 8)]  # stages, micro-batches


def listed(answer: Answer, stage: int, stages: int, micros: int) -> list[tuple[str, int]]:
    """What a learner's order returns, if it is one that has every forward and backward exactly once."""
    got = call(answer, stage, stages, micros)
    where = f"stage {stage} of {stages}, {micros} micro-batches"
    for pair in (got := items(got, f"{where}: your list of pairs")):
        if not isinstance(pair, tuple | list) or len(pair) != 2 or pair[0] not in ("forward", "backward"):
            raise Wrong(f'{where}: a step is a pair like ("forward", 0); you have {pair!r}')
    steps = [(kind, k) for kind, k in got]
    for kind in ("forward", "backward"):
        micro = [k for other, k in steps if other == kind]
        if sorted(micro) != list(range(micros)):
            more = ": the numbers begin with 0" if sorted(micro) == list(range(1, micros + 1)) else ""
            raise Wrong(
                f"{where}: {kind} comes for micro-batches {micro}; each of 0 to {micros - 1} once{more}"
            )
        if micro != sorted(micro):
            raise Wrong(
                f"{where}: {kind} in the order {micro}. It could be done, but sums are added in the order of "
                "the backwards: keep 0, 1, 2, … on every stage, and all schedules agree to the bit"
            )
    for k in range(micros):
        if steps.index(("backward", k)) < steps.index(("forward", k)):
            raise Wrong(f"{where}: backward of {k} stands before its forward, which makes what it needs")
    return steps
