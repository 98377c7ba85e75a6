"""All pairs, without the square: the mean of n × n losses from n numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from ...training.loss import bce_with_logits
from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare, tensor_of_one
from ..watched import most_kept


def _all_pairs_mean(p: Tensor, y: Tensor) -> Tensor:
    rate = y.mean()  # every row of the square has all labels in it, so only their mean is left
    return -(rate * p.log() + (1 - rate) * (1 - p).log()).mean()


def _check_pairs(answer: Answer) -> None:
    """The mean of 8 × 8 losses, and nothing on the way that grows with n²."""
    z = torch.tensor([[-3.0], [-0.5], [0.0], [0.25], [1.0], [2.0], [4.0], [-1.5]]).double()
    p, y = torch.sigmoid(z), torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0]).double()
    got = tensor_of_one(call(answer, p, y), "the mean")
    matched, right, rate = bce_with_logits(z, y[:, None]), _all_pairs_mean(p, y), y.mean()
    compare(
        got, right, "the mean of all pairs",
        ("that is the loss of matched pairs, the right one: asked is what the square makes of it", matched),
        ("that is the entropy of the labels: the mean is that only where every ŷ is the base rate",
         -(rate * rate.log() + (1 - rate) * (1 - rate).log())),
        ("you took the mean of ŷ first: the log of a mean is no mean of logs",
         -(rate * p.mean().log() + (1 - rate) * (1 - p.mean()).log())),
        ("that is the sum over the rows: 8 times too large, for 8 predictions", 8 * right),
        ("that is the sum of all pairs: 64 times too large, for 8 × 8 of them", 64 * right),
        ("the zeros pay nothing: their term is −(1 − y) log(1 − ŷ)", -(rate * p.log()).mean()),
    )  # fmt: skip
    # so many that a tensor object for each is far from the square
    many = torch.linspace(0.1, 0.9, 192)[:, None]
    few = (many[:, 0] > 0.7).float()
    kept, largest = most_kept(answer, (many, few), (many.clone(), few.clone()))
    if kept > len(many) ** 2 // 2:
        raise Wrong(
            f"right, but of 192 predictions it makes a whole of about {kept:,} numbers: with 4,000 digits it "
            "has 16 million"
        )
    if largest > 4 * len(many):  # some rows at a time, or `vmap`; two columns of all are no square
        raise Wrong(
            f"right, but of 192 predictions it makes a tensor of {largest:,} numbers: no tensor may "
            "have more than there are predictions"
        )


pairs = Exercise(
    key="01.pairs",
    title="All pairs, without the square",
    difficulty=2,
    minutes=6,
    reference=_all_pairs_mean,
    check=_check_pairs,
    hints=(
        "Fix one prediction: its row of the square has the losses against every label. What is their mean?",
        "y stands in the loss as a plain factor, so the mean over labels goes into it: y becomes mean(y).",
        "`rate = y.mean()`, then the cross-entropy of every p against that one rate, and the mean.",
    ),
)
