"""Weights for unequal shards: the nodes' gradients become that of all samples."""

from __future__ import annotations

import torch
from torch import Tensor

from ..helpers import Answer, call
from ..machine import Exercise
from .shared import COUNTS, check_mean, gradients_of


def _weighted_mean(gradients: list[Tensor], counts: list[int]) -> Tensor:
    total = sum(counts)
    weighted = [n / total * gradient for gradient, n in zip(gradients, counts, strict=True)]
    return torch.stack(weighted).sum(0)  # (nodes, P) -> (P,)


def _check_weights(answer: Answer) -> str:
    for counts in (COUNTS, (64, 64), (3, 1, 5), (7,)):
        gradients, right = gradients_of(counts)
        got = call(answer, gradients, list(counts))
        check_mean(got, gradients, right, counts, f"with {list(counts)} samples")
    return "unequal shards, equal ones, and a single node"


weights = Exercise(
    key="03.weights",
    title="Weights for unequal shards",
    difficulty=1,
    minutes=4,
    reference=_weighted_mean,
    check=_check_weights,
    hints=(
        "With 320 samples of 400 a node speaks for 80 % of the batch.",
        "The weight of node i is counts[i] / sum(counts); add up weight times gradient.",
    ),
)
