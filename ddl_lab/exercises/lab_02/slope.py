"""The slope of the loss in the logits."""

from __future__ import annotations

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call, close
from ..machine import Exercise
from ..mistakes import compare, near
from .shared import normal


def _slope(z: Tensor, y: Tensor) -> Tensor:
    return (torch.sigmoid(z) - y) / len(y)


def _check_slope(answer: Answer) -> None:
    """8 digits, with both labels; and logits of 200 and −200, where ŷ is 1 and 0."""
    z, y = normal(8, 1) * 3, torch.tensor([[1.0], [0.0]] * 4)
    p, right, value = torch.sigmoid(z), _slope(z, y), call(answer, z, y)
    if isinstance(value, Tensor) and value.numel() == 1:
        raise Wrong("you return one number, and each of the 8 logits has a slope of its own: shape (8, 1)")
    compare(
        value, right, "the slope",
        ("your slopes are 8 times too large, and 8 is the number of digits: the loss is a mean", p - y),
        ("your slopes have the wrong sign: it is ŷ − y, so that going down raises ŷ where y is 1", -right),
        ("you took the logit z for ŷ: ŷ is sigmoid(z)", (z - y) / 8),
        ("sigmoid's own slope ŷ(1 − ŷ) has cancelled out already: leave it away", right * p * (1 - p)),
        ("this is ∂L/∂ŷ, the slope in ŷ: times ŷ(1 − ŷ) it becomes the slope in z", right / (p * (1 - p))),
    )  # fmt: skip
    far, labels = torch.tensor([[200.0], [-200.0]]), torch.tensor([[0.0], [1.0]])
    got = call(answer, far, labels)
    if near(got, _slope(far, labels)):
        return
    lost = got.flatten().isnan().tolist()
    if lost == [True, False]:
        raise Wrong(
            "at the logit 200 your slope is nan: there is inf / inf in it, as exp(200) is inf in float32, or "
            "a division by 1 − ŷ, which is 0. torch.sigmoid(z) − y has neither"
        )
    if any(lost):
        raise Wrong(
            f"at the {'logits 200 and −200' if all(lost) else 'logit −200'} your slope is nan: don't divide "
            "by ŷ or 1 − ŷ, which are 0 there"
        )
    close(got, _slope(far, labels), "at the logits 200 and −200 the slope")


slope = Exercise(
    key="02.slope",
    title="The slope in the logits",
    difficulty=1,
    minutes=4,
    reference=_slope,
    check=_check_slope,
    hints=(
        "The derivation at the top of the lab ends in one short formula for each digit.",
        "ŷ is `torch.sigmoid(z)`. And the loss is a mean over the batch, not a sum.",
        "(ŷ − y) / N, where N is `len(y)`.",
    ),
)
