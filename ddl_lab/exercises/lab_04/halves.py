"""An all-reduce by halves: the bytes of a ring, the messages of doubling."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...node.node import Node
from ..helpers import Answer, Wrong, close, on_nodes, same_shape
from ..machine import Exercise
from ..traffic import check_count


def _all_reduce_by_halves(node, tensor):  # type: ignore[no-untyped-def]
    low, high, distance = 0, len(tensor), node.world_size // 2
    while distance:  # 1. reduce-scatter: send the half that the partner keeps, add to the other
        peer, middle = node.rank ^ distance, (low + high) // 2
        if node.rank < peer:
            sending, high = node.isend(tensor[middle:high], peer), middle
        else:
            sending, low = node.isend(tensor[low:middle], peer), middle
        came = torch.empty(high - low)
        node.recv(came, peer)
        tensor[low:high] += came
        sending.wait()
        distance //= 2
    distance = 1
    while distance < node.world_size:  # 2. all-gather: the same partners backwards, doubling what is ready
        peer, length = node.rank ^ distance, high - low
        start = high if node.rank < peer else low - length
        sending = node.isend(tensor[low:high], peer)
        node.recv(tensor[start : start + length], peer)
        sending.wait()
        low, high = min(low, start), max(high, start + length)
        distance *= 2


PLACES = torch.arange(1.0, 32.0, 2.0)  # (16,): no element is another's, wherever it may land


def _halves(node: Node, answer: Answer) -> Tensor:
    tensor = PLACES * 2.0**node.rank  # bits tell ranks apart
    answer(node, tensor)
    return tensor


def _check_halves(answer: Answer) -> str:
    for nodes in (1, 2, 4, 8):
        history, rounds = on_nodes(_halves, nodes, answer), int(math.log2(nodes))
        for rank, got in enumerate(history.results):
            same_shape(got, (16,), f"rank {rank}'s tensor")
            right = PLACES * (2.0**nodes - 1)
            if not torch.equal(got, right) and torch.equal(got.sort().values, right):
                raise Wrong(
                    f"of {nodes} nodes, rank {rank} has every sum, but in other places: what the partner has "
                    "lies above a lower rank's own part, below a higher one's"
                )
            done = int((got == right).sum())
            if 0 < done < 16:
                raise Wrong(f"of {nodes} nodes, rank {rank} has {done} of 16 elements summed: "
                            "the second phase must bring it the others'")  # fmt: skip
            close(got, right, f"on {nodes} nodes, rank {rank}'s sum")
        for rank in range(nodes if nodes > 2 else 0):
            whole = {
                64
                * rounds: "whole tensors, by doubling; here each round sends half as much as the one before"
            }
            check_count(history, "bytes", rank, 2 * (nodes - 1) * 64 // nodes, whole)
            ring = {2 * (nodes - 1): "a ring; with partners at distance n/2, n/4, … fewer do"}
            check_count(history, "messages", rank, 2 * rounds, ring)
    return "1, 2, 4 and 8 nodes: the bytes of a ring, 2(n−1)/n · S, in 2 log2 n messages"


halves = Exercise(
    key="04.halves",
    title="The bytes of a ring, the messages of doubling",
    difficulty=3,
    minutes=20,
    reference=_all_reduce_by_halves,
    check=_check_halves,
    hints=(
        "A reduce-scatter and an all-gather, each in log2 n rounds. You have built the second.",
        "Partners at distance n/2 first. The lower rank keeps the lower half, sends the upper one, and adds.",
        "Keep two numbers, low and high: what this rank is still responsible for. Each round halves it.",
        "Then distances 1, 2, …: send tensor[low:high]; the partner's part lies just above it on the "
        "lower rank, just below it on the other. Receive straight into it, and widen low or high.",
    ),
)
