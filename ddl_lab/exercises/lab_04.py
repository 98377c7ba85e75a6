"""Lab 04, messages and collectives: six exercises, from a tree to an all-reduce by halves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..cluster.collectives import even_chunks
from ..node.node import Node
from .lab_04_costs import crossover, link
from .lab_04_halves import halves
from .machine import Exercise, Wrong, close, on_nodes, same_shape
from .traffic import check_count, check_marks, in_place, named_ranks

__all__ = ["crossover", "gather", "halves", "link", "scatter", "tree"]

Tensor = torch.Tensor


# 04.tree


def _tree_sum(node, tensor):  # type: ignore[no-untyped-def]
    box, distance = torch.empty_like(tensor), 1
    while distance < node.world_size:
        if node.rank % (2 * distance) == distance:
            node.send(tensor, node.rank - distance)  # handed on: this rank is done
            return
        if node.rank + distance < node.world_size:
            node.recv(box, node.rank + distance)
            tensor += box
        distance *= 2


def _check_tree(answer: Callable[..., Any]) -> str:
    for nodes in (1, 2, 4, 8, 3, 6, 7):
        history = on_nodes(in_place, nodes, answer)
        check_marks(0, history.results[0], nodes)
        for rank in range(1, nodes):
            check_count(history, "messages", rank, 1, {0: "its tensor must get to rank 0 somehow"})
        spans = history.spans
        came = int(((spans["rank"] == 0) & (spans["kind"] == "recv")).sum())
        rounds = math.ceil(math.log2(nodes))
        if came > rounds:
            raise Wrong(
                f"the sum is right, but of {nodes} nodes rank 0 receives {came} messages where {rounds} do: "
                "in a tree, ranks in between add up before they send on"
            )
    return "the sum on 1 to 8 nodes, one message from each rank but 0, ⌈log2 n⌉ to rank 0"


tree = Exercise(
    key="04.tree",
    title="A sum up a tree",
    difficulty=1,
    minutes=8,
    reference=_tree_sum,
    check=_check_tree,
    hints=(
        "The tree broadcast, backwards: the last round comes first, and every arrow is turned round.",
        "At distance 1 the odd ranks send to their left neighbour and are done; the even ones add.",
        "At `distance`, rank r sends to r − distance where `r % (2 * distance) == distance`, and returns.",
        "All others receive from r + distance, if there is one: of 6 nodes rank 4 has no partner at 2.",
    ),
)


# 04.scatter


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


def _scatter(node: Node, answer: Callable[..., Any], sizes: Sequence[int]) -> Any:
    return answer(node, [torch.full((size,), 2.0**node.rank) for size in sizes])  # bits tell ranks apart


def _check_scatter(answer: Callable[..., Any]) -> str:
    for sizes in ([5, 3, 8, 1], [3, 5], [4, 0, 2]):
        nodes, total = len(sizes), 4 * sum(sizes)
        history = on_nodes(_scatter, nodes, answer, sizes)
        for rank, got in enumerate(history.results):
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
    return "unequal chunks on 2, 3 and 4 nodes; values, bytes and messages"


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


# 04.gather


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


def _gather(node: Node, answer: Callable[..., Any]) -> Any:
    return answer(node, torch.tensor([float(node.rank), -float(node.rank)]))


def _check_gather(answer: Callable[..., Any]) -> str:
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
