"""The entropy of labels, in bits."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare, one_number


def _scalar(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def _entropy(labels: Tensor) -> float:
    rate = labels.double().mean().item()
    if rate in (0.0, 1.0):  # all alike: nothing to tell, and log2(0) has no value
        return 0.0
    return -(rate * math.log2(rate) + (1 - rate) * math.log2(1 - rate))


def _check_entropy(answer: Answer) -> None:
    """Labels of a tenth ones, of five sevenths, and labels that are all alike; in bits."""
    labels = torch.tensor([1.0] * 2 + [0.0] * 18)[:, None]  # (20, 1), base rate 1/10
    got, right, of_ones = (
        one_number(call(answer, labels), "the entropy"),
        _entropy(labels),
        0.1 * math.log2(10),
    )
    compare(
        got, _scalar(right), "the entropy of 2 ones among 20 labels",
        (f"{got:.4f} is the entropy in nats: bits are log2, or nats / ln 2", _scalar(right * math.log(2))),
        ("your entropy is below 0: log2 of a share is, and the minus in front is missing", _scalar(-right)),
        ("that is the share of the ones alone: the zeros have a term as well", _scalar(of_ones)),
        ("that is the share of the zeros alone: the ones have a term as well", _scalar(right - of_ones)),
        ("that is the sum over the 20 labels: the entropy is that of one label", _scalar(20 * right)),
        ("1 bit is the entropy where half of the labels are ones; here one in ten is", _scalar(1.0)),
        ("that is the base rate itself: put it into the formula of the entropy", _scalar(0.1)),
    )  # fmt: skip
    mixed = torch.tensor([0.0, 1, 1, 0, 1, 1, 1])[:, None]
    most = one_number(call(answer, mixed), "the entropy")
    compare(most, _scalar(_entropy(mixed)), "the entropy of 5 ones among 7 labels")
    for value, word in ((0.0, "zero"), (1.0, "one")):
        alike = one_number(call(answer, torch.full((5, 1), value)), "the entropy")
        if not abs(alike) < 1e-6:  # a float32's rounding may stay; nan is no number
            told = f"where every label is {word} your entropy is {alike:.4g}: it is 0"
            raise Wrong(f"{told}, since 0 · log2(0) counts as 0 and floats say nan")


entropy = Exercise(
    key="01.entropy",
    title="The entropy of labels",
    difficulty=1,
    minutes=5,
    reference=_entropy,
    check=_check_entropy,
    hints=(
        "Of the labels you need one number only: the share of ones.",
        "With the share r: H = −r log r − (1 − r) log(1 − r). Which logarithm gives bits?",
        "Use `math.log2`, and return 0.0 first where the share is 0 or 1.",
    ),
)
