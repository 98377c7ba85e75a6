"""The bubble's share of a pipeline's step."""

from __future__ import annotations

from ..helpers import Answer, call
from ..machine import Exercise
from ..mistakes import check_number


def _bubble(stages, micros):  # type: ignore[no-untyped-def]
    return (stages - 1) / (micros + stages - 1)


def _check_bubble(answer: Answer) -> str:
    for stages, micros in [(4, 8), (2, 3), (8, 32), (1, 5), (5, 1)]:
        wait, right = stages - 1, _bubble(stages, micros)
        check_number(
            call(answer, stages, micros), right,
            f"{stages} stages, {micros} micro-batches: the bubble's share of the total",
            ("that is the bubble over the time of the work; the total has the bubble in it", wait / micros),
            ("that is the share in which nodes compute; the rest was asked", micros / (micros + wait)),
            ("the first micro-batch passes stages − 1 others before the last one",
             stages / (micros + stages)),
            ("that is a whole batch in one piece, whatever `micros` is", wait / stages),
            ("2(p − 1) slots are idle of 2(m + p − 1): forward and backward have both, work and waiting",
             2 * wait / (micros + wait)),
            ("2(p − 1) slots are idle of 2(m + p − 1): forward and backward have both, work and waiting",
             2 * wait / (micros + 2 * wait)),
            ("2(p − 1) slots are idle of 2(m + p − 1): forward and backward have both, work and waiting",
             wait / (2 * micros + wait)),
            ("that is the idle share of all p nodes added up: take the mean", stages * right),
            ("in percent; a share from 0 to 1 was asked", 100 * right),
        )  # fmt: skip
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
