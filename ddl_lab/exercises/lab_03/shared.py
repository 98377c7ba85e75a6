"""What lab 03's exercises share: gradients of unequal shards, and their mean with its known mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..mistakes import compare

COUNTS = (320, 40, 20, 20)


def gradients_of(counts: Sequence[int], size: int = 1000) -> tuple[list[Tensor], Tensor]:
    """A gradient (size,) for each node, and the gradient of all their samples together."""
    generator = torch.Generator().manual_seed(3)
    found = [torch.randn(size, generator=generator) for _ in counts]
    weights = torch.tensor(counts) / sum(counts)
    return found, (weights[:, None] * torch.stack(found)).sum(0)


def check_mean(got: Any, gradients: list[Tensor], right: Tensor, counts: Sequence[int], what: str) -> None:
    nodes, total, stack = len(counts), sum(counts), torch.stack(gradients)
    inverse, most = 1 / torch.tensor(counts)[:, None], max(counts) / min(counts)
    known = [
        ("you summed over nodes where the mean was asked: with equal shards your result is {nodes} times too "
         "large, and {nodes} is the node count", stack.sum(0)),
        ("the plain mean: a digit of the smallest shard counts as {most:.3g} of the largest", stack.mean(0)),
        ("you multiplied by the counts: divide by their sum, {total}, as well", total * right),
        ("divide by all {total} digits, not by the {nodes} nodes", total / nodes * right),
        ("the weights make it a mean already; you divided by the {nodes} nodes again", right / nodes),
        ("the node with most digits must weigh most, not least", (stack * inverse).sum(0) / inverse.sum()),
    ]  # fmt: skip
    told = [f"{what}: {words.format(nodes=nodes, total=total, most=most)}" for words, _ in known]
    compare(got, right, f"{what}: the result", *zip(told, [wrong for _, wrong in known], strict=True))
