"""Many classes: the logarithm of softmax, for scores of any size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...training.loss import bce_with_logits
from ..helpers import Answer, Wrong, call, close
from ..machine import Exercise
from ..mistakes import compare


def _log_softmax(scores: Tensor) -> Tensor:
    top = scores.max(dim=1, keepdim=True).values  # (n, 1), each row's own
    shifted = scores - top  # no exponent is above 0 now
    return shifted - shifted.exp().sum(dim=1, keepdim=True).log()


def _check_classes(answer: Answer) -> None:
    """Values, scores of 1,000, and two classes (0, z) against this lab's loss."""
    scores = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0], [2.0, 2.0, 2.0], [-1.0, 0.5, 0.25]])
    right, top = _log_softmax(scores), scores.max(dim=1, keepdim=True).values
    compare(
        call(answer, scores), right, "the result",
        ("those are the probabilities: asked are their logarithms", right.exp()),
        ("you normalise down the columns: each row is one sample, so dim=1", scores.log_softmax(dim=0)),
        ("you normalise over the whole batch: each row for itself, dim=1",
         scores.flatten().log_softmax(0).view_as(scores)),
        ("your sign is the wrong way round: logarithms of probabilities are below 0", -right),
        ("the rows aren't normalised: the log of the sum of exp has to come off", scores - top),
        ("those are logarithms to the base 2; natural ones were asked", right / math.log(2)),
    )  # fmt: skip
    far = torch.tensor([[0.0, 1000.0, 1.0], [-1002.0, -1001.0, -1000.0]])  # the largest isn't the first
    got = answer(far)
    if got[0].isnan().any() or got[0].isposinf().any():
        raise Wrong("scores of 1,000 give nan: exp(1000) is inf. Take the largest score off first")
    if got[0].isneginf().all():
        raise Wrong(
            "scores of 1,000 give −inf for every class: a sum of exp is inf. Take the largest score off"
        )
    if got[1].isinf().any():
        raise Wrong(
            "scores near −1,000 give an inf: what you take off isn't each row's own largest score, here "
            "−1,000"
        )
    if got.isneginf().any():
        raise Wrong("a class far behind gives −inf, by log(exp(−1000)): subtract logs, form no quotient")
    close(got, _log_softmax(far), "for scores of 1,000 the result", atol=2e-4)  # float32 there: steps of 6e-5
    logits = torch.tensor([[-30.0], [2.0], [40.0]])
    two = -answer(torch.cat([torch.zeros_like(logits), logits], dim=1))
    close(two[:, :1].mean(), bce_with_logits(logits, 0 * logits), "with scores (0, z), the loss of class 0")


classes = Exercise(
    key="01.classes",
    title="Many classes",
    difficulty=3,
    minutes=9,
    reference=_log_softmax,
    check=_check_classes,
    hints=(
        "log of exp(s_j) / Σ exp(s) is s_j − log Σ exp(s). No quotient is needed.",
        "Σ exp(s) overflows. Take each row's largest score off all of its scores: the result stays the same.",
        "`scores.max(dim=1, keepdim=True).values` keeps the shape (n, 1), which comes off (n, k) row by row.",
    ),
)
