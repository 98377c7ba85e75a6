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


def _gather(node: Node, answer: Answer) -> Any:
    return answer(node, torch.tensor([float(node.rank), -float(node.rank)]))


def _check_gather(answer: Answer) -> str:
    for nodes in (1, 2, 4, 8):
        history, rounds = on_nodes(_gather, nodes, answer), int(math.log2(nodes))
        for rank, got in enumerate(history.results):
            same_shape(got, (2 * nodes,), f"what rank {rank} of {nodes} returns")
            order = got[::2].tolist()
            if order != sorted(order) and sorted(order) == list(range(nodes)):
                told = ", ".join(f"{int(place)}" for place in order)
                raise Wrong(f"rank {rank} has the chunks in the order {told}: the lower rank's come first")
            close(
                got, torch.tensor([[r, -r] for r in range(nodes)]).flatten().float(), f"rank {rank}'s result"
            )
        for rank in range(nodes):
            ring = {nodes - 1: "a ring; here what a node hands on doubles each round"} if nodes > 2 else {}
            check_count(history, "messages", rank, rounds, ring)
            everything = {rounds * 8 * nodes: "the whole result each round; send only what you have so far"}
            check_count(history, "bytes", rank, 8 * (nodes - 1), everything)
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
