"""GPipe's order: all forwards, then all backwards."""

from __future__ import annotations

from ..helpers import Answer, Wrong
from ..machine import Exercise
from .shared import SIZES, listed


def _gpipe(stage, stages, micros):  # type: ignore[no-untyped-def]
    forwards = [("forward", k) for k in range(micros)]
    backwards = [("backward", k) for k in range(micros)]
    return forwards + backwards


def _check_gpipe(answer: Answer) -> str:
    for stages, micros in SIZES:
        for stage in range(stages):
            steps = listed(answer, stage, stages, micros)
            early = [k for kind, k in steps[:micros] if kind == "backward"]
            if early:
                raise Wrong(
                    f"stage {stage} of {stages}: backward of {early[0]} comes before some forward; "
                    "in GPipe all forwards come first"
                )
    return "every stage of 1 to 8, 1 to 8 micro-batches"


gpipe = Exercise(
    key="08.gpipe",
    title="GPipe's order",
    difficulty=1,
    minutes=4,
    reference=_gpipe,
    check=_check_gpipe,
    hints=(
        "It is the same list on every stage: messages see to it that each waits for its input.",
        "All forwards, 0 to micros − 1; then all backwards, in the same order.",
        '`[("forward", k) for k in range(micros)]`, and the same once more.',
    ),
)
