"""Reduce-scatter around a ring: each rank ends with its own chunk of the sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...cluster.collectives import even_chunks
from ...history.history import History
from ...node.node import Node
from ..helpers import Answer, Wrong, close, on_nodes, same_shape
from ..machine import Exercise
from ..traffic import check_count, named_ranks


def _ring_reduce_scatter(node, chunks):  # type: ignore[no-untyped-def]
    n, rank = node.world_size, node.rank
    right, left = (rank + 1) % n, (rank - 1) % n
    for step in range(n - 1):
        sending = node.isend(chunks[(rank - 1 - step) % n], right)
        own = chunks[(rank - 2 - step) % n]
        came = torch.empty_like(own)
        node.recv(came, left)
        own += came
        sending.wait()
    return chunks[rank]


def _scatter(node: Node, answer: Answer, sizes: Sequence[int]) -> Any:
    return answer(node, [torch.full((size,), 2.0**node.rank) for size in sizes])  # bits tell ranks apart


def _check_scatter(answer: Answer) -> str:
    for sizes in ([5, 3, 8, 1], [3, 5], [4, 0, 2], [3]):
        nodes, total = len(sizes), 4 * sum(sizes)
        history = on_nodes(_scatter, nodes, answer, sizes)
        _check_neighbours(history)
        for rank, got in enumerate(history.results):
            if nodes > 2 and history.messages_sent[rank] == nodes - 2:
                raise Wrong(
                    f"of {nodes} nodes, rank {rank} sends {nodes - 2} messages where {nodes - 1} do: a step "
                    "is missing. A chunk passes all ranks but the one that it ends on"
                )
            _check_chunk(rank, got, sizes)
        even = even_chunks(total // 4, nodes)  # as node.all_reduce and tensor_split cut it
        for rank in range(nodes):
            both_halves = 2 * total - 4 * (even[rank] + even[(rank + 1) % nodes])
            why = {
                both_halves: "that is a whole all-reduce; this is its first half",
                (nodes - 1) * total: "that is the whole tensor n−1 times; one chunk a step is enough",
            }
            check_count(history, "bytes", rank, total - 4 * sizes[rank], why)
            check_count(history, "messages", rank, nodes - 1, {})
    return "unequal chunks on 2, 3 and 4 nodes, and one node; values, bytes and messages"


def _check_neighbours(history: History) -> None:
    """All send to the next rank, or all to the one before."""
    spans, n = history.spans, history.nodes
    sent = spans[spans["kind"] == "send"]
    ways = {int(peer - rank) % n for rank, peer in zip(sent["rank"], sent["peer"], strict=True)}
    if not ways and any(history.messages_sent):
        raise Wrong("that is the node's own collective: build it of messages, node.isend and node.recv")
    if len(ways) > 1 or not ways <= {1, n - 1}:
        span = next(s for s in sent.itertuples() if len(ways) > 1 or int(s.peer - s.rank) % n in ways)
        far = next((s for s in sent.itertuples() if int(s.peer - s.rank) % n not in (1, n - 1)), span)
        raise Wrong(
            f"of {n} nodes, rank {far.rank} sends to rank {far.peer}: around a ring, every message goes to "
            "the right neighbour, who adds its own and sends on"
        )


def _check_chunk(rank: int, got: Any, sizes: Sequence[int]) -> None:
    nodes = len(sizes)
    for other, size in enumerate(sizes):
        if other != rank and isinstance(got, Tensor) and tuple(got.shape) == (size,) != (sizes[rank],):
            raise Wrong(
                f"rank {rank} returns chunk {other}: of {nodes} nodes, rank {rank} is to end with its own"
            )
    same_shape(got, (sizes[rank],), f"what rank {rank} returns")
    marks = [int(got[0]) >> r & 1 for r in range(nodes)] if sizes[rank] else [1] * nodes
    if lost := named_ranks(marks, 0):
        raise Wrong(
            f"of {nodes} nodes, rank {rank} returns its chunk without what {lost} had for it: in step 0 "
            "rank r sends chunk r−1, and in each later step the chunk that it has just added to"
        )
    close(got, torch.full((sizes[rank],), 2.0**nodes - 1), f"rank {rank}'s chunk")


scatter = Exercise(
    key="04.scatter",
    title="Reduce-scatter around a ring",
    difficulty=2,
    minutes=10,
    reference=_ring_reduce_scatter,
    check=_check_scatter,
    hints=(
        "It is the first half of the ring. Which chunk goes first, so that rank r gets chunk r last?",
        "The chunk that reaches rank r in the last step is r. It came from r − 1, which had added to it.",
        "In `step`, send chunk (rank − 1 − step) % n and add what comes to chunk (rank − 2 − step) % n.",
        "The box for what comes has the size of the chunk it is added to. Use isend, or all wait for all.",
    ),
)
