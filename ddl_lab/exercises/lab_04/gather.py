"""All-gather by doubling: log2 n rounds, chunks in rank order."""

from __future__ import annotations

import math
from typing import Any

import torch

from ...node.node import Node
from ..helpers import Answer, Wrong, close, on_nodes, same_shape
from ..machine import Exercise
from ..traffic import check_count


def _gather_by_doubling(node, chunk):  # type: ignore[no-untyped-def]
    have, distance = chunk, 1
    while distance < node.world_size:
        peer = node.rank ^ distance
        theirs = torch.empty_like(have)
        sending = node.isend(have, peer)
        node.recv(theirs, peer)
        sending.wait()
        have = torch.cat([have, theirs] if node.rank < peer else [theirs, have])
        distance *= 2
    return have


def _chunk(rank: int, length: int) -> torch.Tensor:
    """Falls from rank to rank, so that sorting doesn't put chunks in order."""
    return torch.arange(length) / 8 - rank


def _gather(node: Node, answer: Answer, length: int) -> Any:
    return answer(node, _chunk(node.rank, length))


def _check_gather(answer: Answer) -> str:
    for nodes, length in ((1, 2), (2, 1), (4, 2), (8, 3)):
        history, rounds = on_nodes(_gather, nodes, answer, length), int(math.log2(nodes))
        for rank, got in enumerate(history.results):
            same_shape(got, (length * nodes,), f"what rank {rank} of {nodes} returns")
            order = got[::length].neg().tolist()
            if order != sorted(order) and sorted(order) == list(range(nodes)):
                told = ", ".join(f"{int(place)}" for place in order)
                raise Wrong(f"rank {rank} has the chunks in the order {told}: the lower rank's come first")
            right = torch.cat([_chunk(other, length) for other in range(nodes)])
            close(got, right, f"rank {rank}'s result")
        for rank in range(nodes):
            ring = {nodes - 1: "a ring; here what a node hands on doubles each round"} if nodes > 2 else {}
            check_count(history, "messages", rank, rounds, ring)
            everything = {
                rounds * 4 * length * nodes: "the whole result each round; send only what you have so far"
            }
            check_count(history, "bytes", rank, 4 * length * (nodes - 1), everything)
    return "1, 2, 4 and 8 nodes: values in rank order, log2 n messages, (n−1) chunks of bytes"


gather = Exercise(
    key="04.gather",
    title="All-gather by doubling",
    difficulty=2,
    minutes=10,
    reference=_gather_by_doubling,
    check=_check_gather,
    hints=(
        "After round 0 each pair has two chunks, after round 1 each four have four.",
        "At `distance` 1, 2, 4, … the partner is `node.rank ^ distance`; both have equally much.",
        "`torch.cat` puts two tensors one after the other. On which rank do the partner's chunks come first?",
    ),
)
