"""The largest learning rate for w equal workers."""

from __future__ import annotations

import math

from ...strategies.staleness import stability_limit
from ..helpers import Answer
from ..machine import Exercise
from ..mistakes import check_number


def _largest_lr(curvature, workers):  # type: ignore[no-untyped-def]
    delay = workers - 1  # equal workers come in turn
    return 2 * math.sin(math.pi / (2 * (2 * delay + 1))) / curvature


def _check_limit(answer: Answer) -> str:
    def law(delay: float, curvature: float) -> float:
        return stability_limit(delay) / curvature

    for curvature, workers in ((1.0, 4), (10.0, 2), (0.5, 8), (4.0, 1)):
        asked = law(workers - 1, curvature)
        angle = math.pi / (2 * (2 * workers - 1))
        check_number(
            answer(curvature, workers), asked,
            f"your learning rate for curvature {curvature:g} and {workers} workers",
            ("of w workers in turn, w − 1 others come in between: the delay is w − 1",
             law(workers, curvature)),
            ("the formula is for ηλ: divide by the curvature", law(workers - 1, 1.0)),
            ("divide by the curvature, where you multiplied", asked * curvature**2),
            ("that is the limit without a delay", 2 / curvature),
            ("math.sin takes radians already", 2 * math.sin(math.radians(angle)) / curvature),
            ("that is the synchronous limit for a sum over all workers", 2 / curvature / workers),
            ("sin x is near x for many workers only: take the sine", 2 * angle / curvature),
            ("that is half of it: 2 sin(…)", asked / 2),
            rtol=0.01,
        )  # fmt: skip
    return "1, 2, 4 and 8 workers on four curvatures, to 1 %"


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
