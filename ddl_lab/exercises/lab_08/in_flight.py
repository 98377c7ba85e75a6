"""What is in flight: the most micro-batches that a stage keeps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from ...strategies import schedules
from ..helpers import Answer, call
from ..machine import Exercise
from ..mistakes import check_number

Order = list[tuple[str, int]]


def _most_in_flight(order):  # type: ignore[no-untyped-def]
    most = now = 0
    for kind, _ in order:
        now += 1 if kind == "forward" else -1
        most = max(most, now)
    return most


def _orders() -> Iterator[tuple[str, Order]]:
    """Orders of the course, and three which neither runs of forwards, first ones nor numbers tell."""
    for order in (schedules.one_f_one_b, schedules.gpipe):
        for stages, micros in [(4, 8), (2, 6), (3, 1), (1, 4)]:
            for stage in range(stages):
                name = f"{order.__name__}, stage {stage} of {stages}, {micros} micro-batches"
                yield name, order(stage, stages, micros)
    kinds = {"F": "forward", "B": "backward"}
    for word in (
        "F0 B0 F1 F2 B1 F3 F4 B2 B3 B4",
        "F0 B0 F1 B1 F2 F3 B2 F4 B3 B4",
        "F0 F1 B1 B0 F2 F3 B3 B2",
    ):
        yield f"the order {word}", [(kinds[step[0]], int(step[1])) for step in word.split()]


def _check_in_flight(answer: Answer) -> str:
    for name, steps in _orders():
        right, kinds = _most_in_flight(steps), [kind for kind, _ in steps]
        check_number(
            call(answer, steps), right, f"{name}: the most in flight",
            ("you count all forwards; a backward lets its micro-batch go", len(steps) // 2),
            ("0 is what is left at the end; the most on the way there was asked", 0),
            ("those are the forwards before the first backward; it may grow again later",
             kinds.index("backward")),
            ("that is the longest run of forwards; what was in flight before it counts as well",
             max(len(list(run)) for kind, run in groupby(kinds) if kind == "forward")),
            ("look after the forward, before the backward", right - 1),
        )  # fmt: skip
    return "GPipe and 1F1B, every stage, and three other orders"


in_flight = Exercise(
    key="08.in_flight",
    title="What is in flight",
    difficulty=1,
    minutes=5,
    reference=_most_in_flight,
    check=_check_in_flight,
    hints=(
        "A forward keeps one micro-batch's activations more, a backward one less.",
        "Go through the order with two numbers: how many now, and the most so far.",
    ),
)
