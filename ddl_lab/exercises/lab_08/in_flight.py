"""What is in flight: the most micro-batches that a stage keeps."""

from __future__ import annotations

from ...strategies import schedules
from ..helpers import Answer, Wrong, call, close
from ..machine import Exercise


def _most_in_flight(order):  # type: ignore[no-untyped-def]
    most = now = 0
    for kind, _ in order:
        now += 1 if kind == "forward" else -1
        most = max(most, now)
    return most


def _check_in_flight(answer: Answer) -> str:
    for order in (schedules.one_f_one_b, schedules.gpipe):
        for stages, micros in [(4, 8), (2, 6), (3, 1), (1, 4)]:
            for stage in range(stages):
                steps = order(stage, stages, micros)
                got, right = call(answer, steps), _most_in_flight(steps)
                where = f"{order.__name__}, stage {stage} of {stages}, {micros} micro-batches: "
                if got == micros != right:
                    raise Wrong(f"{where}you count all forwards; a backward lets its micro-batch go")
                if got == 0:
                    raise Wrong(f"{where}0 is what is left at the end; the most on the way there was asked")
                if got == right - 1:
                    raise Wrong(
                        f"{where}{got}, and {right} was asked: look after the forward, before the backward"
                    )
                close(got, right, f"{where}the most in flight")
    return "GPipe and 1F1B, every stage"


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
