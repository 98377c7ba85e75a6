"""A weighted all-reduce: unequal counts, known to their own node only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...counted import counted
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


def _reduced(node: Node, answer: Answer, gradients: list[Tensor]) -> Any:
    return answer(node, gradients[node.rank].clone(), COUNTS[node.rank])


def _check_reduce(answer: Answer) -> str:
    for nodes in (4, 3, 1):
        counts = COUNTS[:nodes]
        gradients, right = gradients_of(counts)
        ours = on_nodes(_reduced, nodes, _weighted_all_reduce, gradients)
        theirs = on_nodes(_reduced, nodes, answer, gradients)
        for rank, got in enumerate(theirs.results):
            check_mean(got, gradients, right, counts, f"of {counted(nodes, 'node')}, on rank {rank}")
        no_more_traffic(theirs, ours, "all-reduce the gradient and one number, once each", spare_bytes=64)
    return "1, 3 and 4 ranks: the values, at most two exchanges, the bytes of the gradient"


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
