"""A weighted all-reduce: unequal counts, known to their own node only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...node.node import Node
from ..helpers import Answer, no_more_traffic, on_nodes
from ..machine import Exercise
from .shared import COUNTS, check_mean, gradients_of


def _weighted_all_reduce(node: Node, gradient: Tensor, samples: int) -> Tensor:
    total = torch.tensor([float(samples)])
    node.all_reduce(total, op="sum")  # how many samples all nodes have: 4 bytes of payload
    gradient *= samples / total.item()
    node.all_reduce(gradient, op="sum")
    return gradient


def _check_reduce(answer: Answer) -> str:
    gradients, right = gradients_of(COUNTS)

    def worker(node: Node, rule: Answer) -> Any:
        return rule(node, gradients[node.rank].clone(), COUNTS[node.rank])

    ours = on_nodes(worker, len(COUNTS), _weighted_all_reduce)
    theirs = on_nodes(worker, len(COUNTS), answer)
    for rank, got in enumerate(theirs.results):
        check_mean(got, gradients, right, COUNTS, f"on rank {rank}")
    no_more_traffic(theirs, ours, "all-reduce the gradient and one number, once each", 64)
    sent, messages = max(theirs.bytes_sent), max(theirs.messages_sent)
    return f"the values on 4 ranks; at most {sent:,} bytes in {messages} messages a rank"


reduce = Exercise(
    key="03.reduce",
    title="A weighted all-reduce",
    difficulty=3,
    minutes=10,
    reference=_weighted_all_reduce,
    check=_check_reduce,
    hints=(
        "A node knows its own count. Which one number must it learn from the others?",
        "All-reduce a tensor of one element, torch.tensor([float(samples)]), with op='sum'.",
        "Scale the gradient by samples / total before its all-reduce, and sum.",
    ),
)
