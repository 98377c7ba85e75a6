"""Unequal shards in one exchange: the count travels behind the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...node.node import Node
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import compare
from .shared import met, one_exchange

CASES = ((320, 40, 20, 20), (7, 64, 5), (9,))  # the lab's, and others of another sum and node count


def _weighted_mean(node, gradient, samples):  # type: ignore[no-untyped-def]
    sums = torch.cat([samples * gradient, torch.tensor([float(samples)])])  # (P + 1,)
    node.all_reduce(sums, op="sum")
    return sums[:-1] / sums[-1]


def _uneven(node: Node, answer: Answer, gradients: Sequence[Tensor], counts: Sequence[int]) -> Any:
    return answer(node, gradients[node.rank].clone(), counts[node.rank])


def _check_uneven(answer: Answer) -> str:
    for counts in CASES:
        _check_mean(answer, counts)
    return "the mean over all samples on 4, 3 and 1 ranks, unequal ones, in one all-reduce"


def _check_mean(answer: Answer, counts: Sequence[int]) -> None:
    nodes, total, most = len(counts), sum(counts), max(counts) / min(counts)
    drawn = torch.Generator().manual_seed(5)
    stack = torch.randn(nodes, 1000, generator=drawn)
    right = (torch.tensor(counts)[:, None] * stack).sum(0) / total
    history = met(_uneven, nodes, answer, list(stack), counts)
    for rank, got in enumerate(history.results):
        if isinstance(got, Tensor) and tuple(got.shape) == (1001,):
            raise Wrong(
                "your result has 1,001 entries: the last one is the count; it was only to travel along"
            )
        likely = [
            (f"the plain mean: a digit of the smallest shard counts as {most:.3g} of the largest",
             stack.mean(0)),
            ("the sum over ranks: a mean was asked", stack.sum(0)),
            (f"divide by the {total} samples of all ranks", right * total),
            (f"you divided by the {nodes} nodes; divide by the {total} samples", right * total / nodes),
            (f"you divided by this rank's {counts[rank]} samples; divide by those of all",
             right * total / counts[rank]),
            ("what you added up isn't weighted: multiply by samples first", stack.sum(0) / total),
        ]  # fmt: skip
        compare(got, right, f"rank {rank}'s result", *likely)
    one_exchange(history, "let the count travel behind the gradient, in one tensor")


uneven = Exercise(
    key="05.uneven",
    title="Unequal shards in one exchange",
    difficulty=2,
    minutes=10,
    reference=_weighted_mean,
    check=_check_uneven,
    hints=(
        "The mean is a sum over all samples, divided by how many there are. Both are sums over ranks.",
        "torch.cat([samples * gradient, torch.tensor([float(samples)])]) has both in it.",
        "After an all-reduce with op='sum', divide all entries but the last by the last.",
    ),
)
