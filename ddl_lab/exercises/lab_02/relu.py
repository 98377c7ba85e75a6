"""Backward through ReLU."""

from __future__ import annotations

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare
from .shared import normal


def _relu_backward(dh: Tensor, a: Tensor) -> Tensor:
    return dh * (a > 0)


def _check_relu(answer: Answer) -> None:
    """inputs above 0, below 0, and 0 exactly"""
    dh, a = normal(6, 3), normal(6, 3, seed=1)
    compare(
        call(answer, dh, a), _relu_backward(dh, a), "the result",
        ("your mask looks at dh, the gradient: a, the input of ReLU, decides what passes", dh * (dh > 0)),
        ("you multiply by relu(a), the layer's output, and not by its slope, which is 1 or 0", dh * a.relu()),
        ("that is the mask alone, the slope of ReLU: times dh it becomes the gradient", (a > 0).float()),
        ("your mask is upside down: the gradient passes where a is above 0", dh * (a < 0)),
        ("you let everything pass: where a is below 0, ReLU's output doesn't move with a", dh),
    )  # fmt: skip
    at_zero = call(answer, dh, torch.zeros(6, 3))
    if at_zero.isnan().any():
        raise Wrong("at a = 0 exactly your result is nan, by 0 / 0: a comparison, a > 0, divides by nothing")
    if not torch.equal(at_zero, torch.zeros(6, 3)):
        raise Wrong("at a = 0 exactly you let the gradient pass; torch's slope there is 0: a > 0, not a >= 0")


relu = Exercise(
    key="02.relu",
    title="Backward through ReLU",
    difficulty=1,
    minutes=4,
    reference=_relu_backward,
    check=_check_relu,
    hints=(
        "What is the slope of max(a, 0) at a = 3, and what at a = −3?",
        "A comparison of tensors gives a mask of True and False, which multiply as 1 and 0.",
        "`dh * (a > 0)`: the mask comes from what went into ReLU, not from the gradient.",
    ),
)
