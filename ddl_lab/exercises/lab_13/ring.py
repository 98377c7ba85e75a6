"""The mean with two neighbours on a ring."""

from __future__ import annotations

import torch
from torch import Tensor

from ...counted import counted
from ...node.node import Node
from ..helpers import Answer, Wrong, close, on_nodes, same_shape
from ..machine import Exercise

COUNT = 5


def _with_neighbours(node, theta):  # type: ignore[no-untyped-def]
    n = node.world_size
    left, right = (node.rank - 1) % n, (node.rank + 1) % n
    from_left, from_right = torch.empty_like(theta), torch.empty_like(theta)
    sending = [node.isend(theta, left, tag=0), node.isend(theta, right, tag=1)]
    node.recv(from_left, left, tag=1)
    node.recv(from_right, right, tag=0)
    for message in sending:
        message.wait()
    return (theta + from_left + from_right) / 3


def _worker(node: Node, answer: Answer) -> Tensor:
    got: Tensor = answer(
        node, torch.arange(1, COUNT + 1) * 3.0**node.rank
    )  # powers of 3 tell the ranks apart
    return got


def _check_ring(answer: Answer) -> str:
    for nodes in (3, 4, 6, 8):
        got = on_nodes(_worker, nodes, answer)
        for rank, theta in enumerate(got.results):
            told = f"{counted(nodes, 'node')}, rank {rank}"
            same_shape(theta, (COUNT,), f"{told}: the mean")
            weights = [3.0**other for other in range(nodes)]
            _compare(theta / torch.arange(1, COUNT + 1), weights, rank, told)
        for rank, sent in enumerate(got.bytes_sent):
            if sent > 2 * 4 * COUNT:
                raise Wrong(
                    f"the numbers are right, but of {nodes} nodes rank {rank} sends {sent} bytes where "
                    f"{2 * 4 * COUNT} do: to the two neighbours alone"
                )
            if nodes > 3 and (messages := got.messages_sent[rank]) > 2:  # of 3, the mean of all is right
                raise Wrong(
                    f"the numbers are right, but of {nodes} nodes rank {rank} sends {messages} messages: "
                    "one to each neighbour, with all that it has"
                )
    return "rings of 3, 4, 6 and 8 nodes, two messages a node"


def _compare(got: Tensor, weights: list[float], rank: int, told: str) -> None:
    n = len(weights)
    left, own, right = weights[rank - 1], weights[rank], weights[(rank + 1) % n]
    for words, wrong in (
        ("you average with all nodes: only with the two neighbours", sum(weights) / n),
        ("this rank's own is missing: the mean of three", (left + right) / 2),
        ("the sum of three: their mean was asked", left + own + right),
        ("that is the mean with the left neighbour only", (left + own) / 2),
        ("that is the mean with the right neighbour only", (own + right) / 2),
        ("this rank's own counts half, the neighbours a quarter each: a third each was asked",
         own / 2 + (left + right) / 4),
        ("the left neighbour counts twice, the right one not at all", (2 * left + own) / 3),
        ("the right neighbour counts twice, the left one not at all", (2 * right + own) / 3),
        ("nothing arrives: that is this rank's own", own),
    ):  # fmt: skip
        mean = (left + own + right) / 3
        if abs(wrong - mean) > 1e-3 * mean and torch.allclose(got, torch.full_like(got, wrong), rtol=1e-4):
            raise Wrong(f"{told}: {words}")
    close(got, torch.full_like(got, (left + own + right) / 3), f"{told}: the mean", rtol=1e-4)


ring = Exercise(
    key="13.ring",
    title="The mean with two neighbours",
    difficulty=2,
    minutes=10,
    reference=_with_neighbours,
    check=_check_ring,
    hints=(
        "The ring closes: rank 0's left neighbour is the last one, (rank − 1) % world_size.",
        "If all send first, nobody receives. `isend` to both, then receive from both, then wait.",
        "Receive into two tensors of their own, and change nothing before the handles are waited for.",
    ),
)
