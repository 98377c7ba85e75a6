"""A sum: one collective call, and every node has it."""

from __future__ import annotations

import torch

from ...counted import counted
from ...node.node import Node
from ..helpers import Answer, Wrong, close, on_nodes
from ..machine import Exercise
from ..values import number


def _given_total(node: Node) -> float:
    """Every node returns the sum of all ranks."""
    value = torch.tensor([float(node.rank)])
    ...
    return value.item()


def _total(node: Node) -> float:
    """Every node returns the sum of all ranks: with four nodes 0 + 1 + 2 + 3 = 6."""
    value = torch.tensor([float(node.rank)])
    node.all_reduce(value, op="sum")  # in place, on every node
    return value.item()


def _check_total(answer: Answer) -> str:
    for nodes in (4, 1, 7):
        history, right = on_nodes(answer, nodes), float(sum(range(nodes)))
        for rank, got in enumerate(history.results):
            if got is None:
                raise Wrong(f"rank {rank} returns None: keep `return value.item()`")
        results = [number(got, f"rank {rank}'s result") for rank, got in enumerate(history.results)]
        if results == list(range(nodes)) and nodes > 1:
            told = (
                "what was sent didn't get into `value`" if any(history.messages_sent) else "nothing was sent"
            )
            raise Wrong(f"each node returns its own rank: {told}. Which call adds over all nodes, in place?")
        if results == [right / nodes] * nodes and nodes > 1:
            raise Wrong(f"each node returns {results[0]:g}, the mean: the sum is {nodes} times as large")
        if results == [nodes - 1.0] * nodes and nodes > 2:
            raise Wrong(f"each node returns {results[0]:g}, the largest rank: the sum of all was asked")
        if len(set(results)) > 1 and right in results:
            raise Wrong(f"the nodes return {results}: {right:g} is the sum, but not every node has it")
        for rank, got in enumerate(results):
            close(got, right, f"with {counted(nodes, 'node')}, rank {rank}'s result")
        if nodes > 1 and not any(history.messages_sent):
            raise Wrong(f"{right:g} is right, but nothing was sent: let the nodes add up what they have")
    return "4, 1 and 7 nodes: each has the sum of what all had"


total = Exercise(
    key="00.total",
    title="A sum",
    difficulty=1,
    minutes=3,
    reference=_total,
    check=_check_total,
    given=_given_total,
    hints=(
        "In `train` one line makes four gradients into one. Which?",
        "It was told to take the mean there: `op` can be something else.",
        '`node.all_reduce(value, op="sum")` works in place: nothing is assigned.',
    ),
)
