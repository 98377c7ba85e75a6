"""Cheap and dear messages: which of several node counts is the fastest at a latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch

from ...cluster.model import Cluster
from ...node.node import Node
from ...virtual.simulation import simulate
from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import number


def _fastest(worker: Answer, latency_s: float, counts: Sequence[int]) -> int:
    """Which of ``counts`` nodes end ``worker`` soonest when a message's start takes ``latency_s``.

    For `train`, one epoch, and 8, 16 or 64 nodes: 64 at 5 µs, 16 at 50 µs, 8 at 500 µs. What a message
    costs limits how many nodes are of use.
    """
    cluster = Cluster(latency_s=latency_s)
    took_s = {n: simulate(worker, nodes=n, cluster=cluster).elapsed_s for n in counts}
    return min(took_s, key=lambda n: took_s[n])


def _halving(node: Node) -> None:
    """Computes 400 samples in all, however many nodes, and takes the mean of a small tensor."""
    with node.compute(samples=400 / node.world_size):
        pass
    node.all_reduce(torch.zeros(64), op="mean")


def _in_pieces(node: Node) -> None:
    """Computes 48 pieces that can't be cut: 32 nodes need as many rounds as 24, and more messages."""
    with node.compute(samples=100 * math.ceil(48 / node.world_size)):
        pass
    node.all_reduce(torch.zeros(64), op="mean")


def _check_fastest(answer: Answer) -> str:
    cases = (
        (_halving, 1e-3, (16, 4, 2, 32)),
        (_halving, 1e-6, (8, 2, 128, 16)),
        (_halving, 0.1, (8, 4, 16)),
        (_in_pieces, 5e-6, (64, 48, 24, 32)),  # no valley: the times fall, rise, fall and rise
    )
    for worker, latency_s, counts in cases:
        right, got = _fastest(worker, latency_s, counts), call(answer, worker, latency_s, list(counts))
        got = number(got, "the number of nodes")
        if not got.is_integer():
            raise Wrong(f"you return {got:.4g}, a time: the number of nodes that needs it was asked")
        if got == right:
            continue
        _name_the_count(worker, got, latency_s, counts)
        raise Wrong(
            f"at a latency of {latency_s:g} s, {right} of {counts} nodes are the fastest; you say {got:g}"
        )
    return "two workers, four latencies from 1 µs to 0.1 s, and counts in any order"


def _name_the_count(worker: Answer, got: float, latency_s: float, counts: Sequence[int]) -> None:
    took_s = {n: simulate(worker, n, cluster=Cluster(latency_s=latency_s)).elapsed_s for n in counts}
    if got == counts.index(_fastest(worker, latency_s, counts)) and got not in counts:
        raise Wrong(
            f"you return {got:g}, a place in the list of counts: the count that stands there was asked"
        )
    if got not in counts:
        raise Wrong(f"you return {got:g}, which is none of the counts {list(counts)}")
    if got == _fastest(worker, Cluster().latency_s, counts):
        raise Wrong(f"you found the fastest at the usual 50 µs, not at {latency_s:g} s: use the cluster")
    if got == _until_it_rises(took_s):
        raise Wrong(
            f"you stop where more time is needed for the first time, at {got:g} nodes of {list(counts)}: a "
            "later count may be faster still, so simulate all"
        )
    if got == _until_it_rises(dict(sorted(took_s.items()))):
        raise Wrong(
            f"you stop at {got:g} nodes, after which more of {sorted(counts)} need more time at first: with "
            "still more it falls again, so simulate all"
        )
    if got == min(took_s, key=lambda n: n * took_s[n]):
        raise Wrong(f"{got:g} nodes need the fewest seconds times nodes; who ends soonest was asked")
    if got == max(took_s, key=lambda n: took_s[n]):
        raise Wrong(f"at a latency of {latency_s:g} s, {got:g} nodes take longest: `min`, not `max`")


def _until_it_rises(took_s: dict[int, float]) -> int:
    """The count before the first one that takes longer than its neighbour."""
    counts = list(took_s)
    rises = [here for here, after in pairwise(counts) if took_s[after] > took_s[here]]
    return rises[0] if rises else counts[-1]


fastest = Exercise(
    key="00.fastest",
    title="Cheap and dear messages",
    difficulty=2,
    minutes=5,
    reference=_fastest,
    check=_check_fastest,
    hints=(
        "One `lab.simulate` for each count, and `.elapsed_s` of each: the sweep above does that.",
        "Describe the messages first: `cluster = lab.Cluster(latency_s=latency_s)`; `simulate` takes it "
        "as `cluster=cluster`.",
        "Keep the times in a dict by count; `min(times, key=times.get)` is the count, not the time.",
    ),
)
