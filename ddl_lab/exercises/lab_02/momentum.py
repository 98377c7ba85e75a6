"""A step with momentum: the new velocity, then the new place."""

from __future__ import annotations

from torch import Tensor

from ..helpers import Answer, call
from ..machine import Exercise
from ..mistakes import compare
from .shared import normal, returned


def _momentum_step(
    place: Tensor, velocity: Tensor, slope: Tensor, lr: float, momentum: float
) -> tuple[Tensor, Tensor]:
    velocity = momentum * velocity + slope
    place = place - lr * velocity
    return place, velocity


def _check_momentum(answer: Answer) -> None:
    """one step, its place and its velocity"""
    x, v, g, lr = normal(3), normal(3, seed=1), normal(3, seed=2), 0.3
    new_x, new_v = returned(call(answer, x, v, g, lr, 0.75), "place", "velocity")
    right_x, right_v = _momentum_step(x, v, g, lr, 0.75)
    compare(
        new_v, right_v, "velocity",
        ("the velocity must forget: the old one counts momentum times, not once", v + g),
        ("that is an average with (1 − momentum) · slope; here it counts in full", 0.75 * v + 0.25 * g),
        ("lr is in the velocity; here it adds slopes, and lr comes in the step", 0.75 * v + lr * g),
        ("the slope has the wrong sign in the velocity; the minus comes in the step", 0.75 * v - g),
        ("momentum multiplies the old velocity, not the slope", v + 0.75 * g),
    )  # fmt: skip
    compare(
        new_x, right_x, "place",
        ("you stepped with the old velocity: first renew it, then step", x - lr * v),
        ("you stepped along the slope alone, so the velocity has no effect", x - lr * g),
        ("your step goes uphill: the place moves against the velocity", x + lr * right_v),
        ("the learning rate is missing in the step", x - right_v),
    )  # fmt: skip


momentum = Exercise(
    key="02.momentum",
    title="A step with momentum",
    difficulty=2,
    minutes=6,
    reference=_momentum_step,
    check=_check_momentum,
    hints=(
        "Two lines: the first makes the new velocity, the second uses it.",
        "The new velocity is momentum times the old one, plus the slope.",
        "`velocity = momentum * velocity + slope`, then `place = place - lr * velocity`.",
    ),
)
