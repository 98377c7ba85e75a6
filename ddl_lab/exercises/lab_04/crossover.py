"""Where the ring overtakes the tree: the tensor's size in bytes."""

from __future__ import annotations

import math

from ...cluster.model import Cluster
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..values import number


def _overtaken_at(nodes, cluster):  # type: ignore[no-untyped-def]
    rounds, steps = 2 * math.ceil(math.log2(nodes)), 2 * (nodes - 1)
    more_latency_s = (steps - rounds) * cluster.latency_s
    fewer_tensors = rounds - steps / nodes  # that go over a link, one after another
    return more_latency_s / fewer_tensors * cluster.bandwidth_bytes_per_s


def _check_crossover(answer: Answer) -> str:
    for latency_s, bandwidth in ((50e-6, 1e9), (2e-3, 1e8)):
        cluster = Cluster(latency_s=latency_s, bandwidth_bytes_per_s=bandwidth)
        for nodes in (8, 64, 1000, 5, 4, 3, 2):
            got = number(answer(nodes, cluster), f"the size for {nodes} nodes")
            right = _overtaken_at(nodes, cluster)
            whole = 2 * nodes  # bytes: chunks are of whole numbers, and so is what a search finds
            if not math.isclose(got, right, rel_tol=1e-3, abs_tol=whole):
                raise Wrong(_why(got, right, nodes, cluster))
    return "2 to 1,000 nodes on two clusters"


def _why(got: float, right: float, nodes: int, cluster: Cluster) -> str:
    """The likely mistake behind a wrong crossover."""
    bandwidth = cluster.bandwidth_bytes_per_s
    rounds, steps, exact = 2 * math.ceil(math.log2(nodes)), 2 * (nodes - 1), 2 * math.log2(nodes)
    sizes = {
        "that is in seconds: times the bandwidth it is in bytes": right / bandwidth,
        "that is in kB: return bytes": right / 1000,
    }
    for words, messages, chunks, tensors in (
        ("an all-reduce by a tree goes up and down: 2⌈log2 n⌉ messages", steps, steps / nodes, rounds / 2),
        ("the ring goes around twice: 2(n−1) messages", steps / 2, steps / 2 / nodes, rounds),
        ("a message of the ring has S/n bytes, not S", steps, steps, rounds),
        ("log2 n isn't whole here: a tree's depth is ⌈log2 n⌉", steps, steps / nodes, exact),
    ):
        if chunks != tensors:
            sizes[words] = (messages - tensors) / (tensors - chunks) * cluster.latency_s * bandwidth
    told = f"for {nodes} nodes you find {got:,.6g} bytes, and both take equally long at {right:,.6g}"
    for words, size in sizes.items():
        if size and math.isclose(got, size, rel_tol=1e-3):
            return f"{told}: {words}"
    return told


crossover = Exercise(
    key="04.crossover",
    title="Where the ring overtakes the tree",
    difficulty=2,
    minutes=10,
    reference=_overtaken_at,
    check=_check_crossover,
    hints=(
        "Write both times as functions of S, set them equal, and solve for S.",
        "2⌈log2 n⌉(α + βS) = 2(n−1)(α + βS/n). Bring what has α to one side, what has β to the other.",
        "S = (2(n−1) − 2⌈log2 n⌉) α / ((2⌈log2 n⌉ − 2(n−1)/n) β), and 1/β is the bandwidth.",
    ),
)
