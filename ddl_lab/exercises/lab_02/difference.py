"""The central difference: a slope from two values of a function."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..helpers import Answer, call
from ..machine import Exercise
from ..mistakes import check_number


def _central_difference(f: Callable[[float], float], t: float, h: float) -> float:
    return (f(t + h) - f(t - h)) / (2 * h)


def _check_difference(answer: Answer) -> None:
    """the slopes of a rising and of a falling function, as exact as h allows"""
    _check_at(answer, math.exp, 1.5, 0.25)
    _check_at(answer, _falling, -0.5, 0.1)


def _falling(t: float) -> float:
    return math.exp(-t) + 3


def _check_at(answer: Answer, f: Callable[[float], float], t: float, h: float) -> None:
    here, ahead, behind = f(t), f(t + h), f(t - h)
    right, value = _central_difference(f, t, h), call(answer, f, t, h)
    check_number(
        value, right, "the slope",
        ("that is the forward difference: its error is of order h, the central one's h²", (ahead - here) / h),
        ("that is the backward difference: look to both sides of t", (here - behind) / h),
        ("your slope is twice too large: from t − h to t + h it is 2h, not h", 2 * right),
        ("Python reads a / 2 * h as (a / 2) · h: put the 2 * h into brackets", (ahead - behind) / 2 * h),
        ("your slope has the wrong sign: the value ahead less the value behind", -right),
        ("the difference of the two values has yet to be divided by 2h", ahead - behind),
    )  # fmt: skip


difference = Exercise(
    key="02.difference",
    title="The central difference",
    difficulty=1,
    minutes=4,
    reference=_central_difference,
    check=_check_difference,
    hints=(
        "Two values of f are enough, one on each side of t.",
        "A slope is the rise over the run. How long is the run from t − h to t + h?",
        "`(f(t + h) - f(t - h)) / (2 * h)`, with the brackets.",
    ),
)
