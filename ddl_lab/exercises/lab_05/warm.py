"""A warm-up: the learning rate of a step."""

from __future__ import annotations

import math

from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import check_number
from ..values import number


def _learning_rate(step: int, k: float, eta: float, over: int) -> float:
    if step >= over:
        return k * eta
    return eta + (k * eta - eta) * step / over


def _check_warm(answer: Answer) -> str:
    for k, eta, over in ((8, 0.1, 20), (4, 0.05, 10), (3, 0.2, 0), (1, 0.1, 5)):
        for step in (0, 1, over // 2, max(over - 1, 0), over, over + 1, 3 * over + 7):
            case = f"k = {k}, eta = {eta}, over = {over}: the rate of step {step}"
            try:
                got = number(answer(step, k, eta, over), case)
            except ZeroDivisionError:
                if over:
                    raise
                got = math.nan
            if not over and math.isnan(got):
                raise Wrong(f"{case} divides by over = 0: without a warm-up it is k * eta at once")
            check_number(got, _learning_rate(step, k, eta, over), case, *_known(step, k, eta, over))
    return "before, at and after the end of the warm-up, without one, and k = 1"


def _known(step: int, k: float, eta: float, over: int) -> list[tuple[str, float]]:
    """Words for likely mistakes, and the rate that each makes."""
    share = step / over if over else 1.0
    early = min(1, share + 1 / max(over, 1))
    return [
        ("it begins at eta, not at 0", k * eta * min(share, 1)),
        ("it goes on growing after the warm-up: from step `over` on it is k * eta",
         eta * (1 + (k - 1) * share)),
        ("eta is for the batch of one node, and step 0 of a warm-up; k times the batch goes k times as far",
         eta),
        ("it is k * eta at once: where is the warm-up?", k * eta),
        ("it ends at (k + 1) * eta: from eta to k * eta it grows by (k - 1) * eta",
         eta * (1 + k * min(share, 1))),
        ("it reaches k * eta one step late: at step `over` it is there",
         eta * (1 + (k - 1) * step / (over + 1))),
        ("it is one step early: step 0 has eta", eta * (1 + (k - 1) * early)),
        ("it grows by equal factors: by equal amounts was asked", eta * k ** min(share, 1)),
    ]  # fmt: skip


warm = Exercise(
    key="05.warm",
    title="A warm-up",
    difficulty=1,
    minutes=5,
    reference=_learning_rate,
    check=_check_warm,
    hints=(
        "From step `over` on it is k * eta. Deal with that first, and over = 0 never divides.",
        "Before, a share step / over of the way from eta to k * eta is behind you.",
    ),
)
