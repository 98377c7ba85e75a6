"""The bubble's share of a pipeline's step."""

from __future__ import annotations

from ..helpers import Answer, Wrong, call, close
from ..machine import Exercise


def _bubble(stages, micros):  # type: ignore[no-untyped-def]
    return (stages - 1) / (micros + stages - 1)


def _check_bubble(answer: Answer) -> str:
    for stages, micros in [(4, 8), (2, 3), (8, 32), (1, 5), (5, 1)]:
        got, right = call(answer, stages, micros), _bubble(stages, micros)
        words = f"{stages} stages, {micros} micro-batches: "
        likely = {
            (stages - 1)
            / micros: "that is the bubble over the time of the work; the total has the bubble in it",
            micros / (micros + stages - 1): "that is the share in which nodes compute; the rest was asked",
            stages / (micros + stages): "the first micro-batch passes stages − 1 others before the last one",
            (stages - 1) / stages: "that is a whole batch in one piece, whatever `micros` is",
        }
        for value, mistake in likely.items():
            if isinstance(got, int | float) and abs(got - value) < 1e-6 < abs(right - value):
                raise Wrong(words + mistake)
        close(got, right, f"{words}the bubble's share of the total")
    return "1 to 8 stages, 1 to 32 micro-batches"


bubble = Exercise(
    key="08.bubble",
    title="The bubble's share",
    difficulty=1,
    minutes=4,
    reference=_bubble,
    check=_check_bubble,
    hints=(
        "Count in slots: one slot is a forward or a backward of one micro-batch on one stage.",
        "Forward, the last stage begins after p − 1 slots and is busy for m. How many slots in all?",
        "Each node is busy in m of m + p − 1 slots, forward and backward alike.",
    ),
)
