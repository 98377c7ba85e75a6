"""The largest learning rate for w equal workers."""

from __future__ import annotations

import math

from ..helpers import Answer, Wrong, close
from ..machine import Exercise


def _largest_lr(curvature, workers):  # type: ignore[no-untyped-def]
    delay = workers - 1  # equal workers come in turn
    return 2 * math.sin(math.pi / (2 * (2 * delay + 1))) / curvature


def _check_limit(answer: Answer) -> str:
    def law(delay: float, curvature: float) -> float:
        return 2 * math.sin(math.pi / (2 * (2 * delay + 1))) / curvature

    for curvature, workers in ((1.0, 4), (10.0, 2), (0.5, 8), (4.0, 1)):
        got, asked = answer(curvature, workers), law(workers - 1, curvature)
        told = f"for curvature {curvature:g} and {workers} workers"
        likely = {
            law(workers, curvature): "of w workers in turn, w − 1 others come in between: the delay is w − 1",
            law(workers - 1, 1.0): "the formula is for ηλ: divide by the curvature",
            law(workers - 1, curvature) * curvature**2: "divide by the curvature, where you multiplied",
            2 / curvature: "that is the limit without a delay",
            2 * math.sin(math.radians(math.pi / (2 * (2 * workers - 1)))) / curvature:
                "math.sin takes radians already",
            2 / curvature / workers: "that is the synchronous limit for a sum over all workers",
        }  # fmt: skip
        for value, words in likely.items():
            if isinstance(got, float | int) and math.isclose(got, value) and not math.isclose(value, asked):
                raise Wrong(f"{told} you have {got:.4g}, and {asked:.4g} was asked: {words}")
        close(got, asked, f"your learning rate {told}", rtol=1e-6)
    return "1, 2, 4 and 8 workers on four curvatures"


limit = Exercise(
    key="07.limit",
    title="The largest learning rate for w equal workers",
    difficulty=2,
    minutes=5,
    reference=_largest_lr,
    check=_check_limit,
    hints=(
        "Equal workers come in turn. How many gradients of others are applied during one of mine?",
        "Section 4 has the limit of ηλ for a delay τ. Here τ = w − 1.",
        "η is what was asked, ηλ is what the formula gives.",
    ),
)
