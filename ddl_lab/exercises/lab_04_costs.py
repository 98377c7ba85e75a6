"""Lab 04's two exercises on cost: a link from the times of a ring, and where a ring overtakes a tree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from ..cluster.model import Cluster
from .machine import Exercise, Wrong

ALPHA_S, BETA_S = 40e-6, 2e-9  # of the ring that is to be recognised: seconds, seconds a byte
OFF = (1.03, 0.96, 1.05, 0.98, 0.94, 1.02)  # measured times, relative to the model's


# 04.link


def _ring_link(nodes, sizes, seconds):  # type: ignore[no-untyped-def]
    steps = 2 * (nodes - 1)  # messages one after another, of a chunk each
    rows = [[steps / t, steps * size / nodes / t] for size, t in zip(sizes, seconds, strict=True)]
    ones = torch.ones(len(rows), 1, dtype=torch.float64)  # (a alpha + b beta) / t = 1
    alpha, beta = (
        torch.linalg.lstsq(torch.tensor(rows, dtype=torch.float64), ones).solution.flatten().tolist()
    )
    return alpha, 1 / beta


def _check_link(answer: Callable[..., Any]) -> str:
    sizes = [4**k for k in range(3, 15, 2)]
    for nodes in (4, 8):
        exact = [2 * (nodes - 1) * (ALPHA_S + BETA_S * size / nodes) for size in sizes]
        _check_pair(_pair(answer(nodes, list(sizes), exact)), nodes)
        measured = [off * t for off, t in zip(OFF, exact, strict=True)]
        alpha, bandwidth = _pair(answer(nodes, list(sizes), measured))
        if not 0.9 < alpha / ALPHA_S < 1.1:
            raise Wrong(
                f"from exact times your latency is right; from times that are off by up to 6 % it is "
                f"{alpha * 1e6:.3g} µs where {ALPHA_S * 1e6:.3g} were: the long times decide it alone. "
                "Divide each row by its time, so that each counts alike"
            )
        if not 0.9 < bandwidth * BETA_S < 1.1:
            raise Wrong(
                f"from times that are off by up to 6 % your bandwidth is off by more: {bandwidth:.4g} bytes/s"
            )
    return "rings of 4 and 8 nodes, from exact times and from times that are off by up to 6 %"


def _pair(got: Any) -> tuple[float, float]:
    try:
        alpha, bandwidth = (float(value) for value in got)
    except (TypeError, ValueError):
        raise Wrong(
            f"return two numbers, latency in seconds and bandwidth in bytes/s, and not {got!r:.60}"
        ) from None
    return alpha, bandwidth


def _check_pair(got: tuple[float, float], nodes: int) -> None:
    alpha, bandwidth = got[0] / ALPHA_S, got[1] * BETA_S  # 1 where it is right
    steps = 2 * (nodes - 1)
    if math.isclose(got[1], BETA_S, rel_tol=0.01):
        raise Wrong("your second number is seconds a byte, β: the bandwidth is 1/β")
    if math.isclose(alpha, steps, rel_tol=0.01):
        raise Wrong(f"your latency is {steps} times too large, and a ring of {nodes} pays {steps} latencies")
    if math.isclose(alpha, 2, rel_tol=0.01):
        raise Wrong("your latency is twice too large: the chunks go around the ring twice")
    for factor, words in (
        (1 / nodes, f"{nodes} times too small: a message of the ring has a chunk, S / n bytes, and not S"),
        (0.5, "half of what it is: the chunks go around the ring twice"),
        (1 / steps, f"{steps} times too small: {steps} messages follow each other"),
        (nodes / steps, f"the tensor's bytes by its time; {steps} chunks of 1/{nodes} go one after another"),
    ):
        if math.isclose(bandwidth, factor, rel_tol=0.01):
            raise Wrong(f"your bandwidth is {words}")
    if not (0.99 < alpha < 1.01 and 0.99 < bandwidth < 1.01):
        told = f"{got[0] * 1e6:.4g} µs and {got[1]:.4g} bytes/s"
        raise Wrong(f"from exact times of a ring of {nodes} you find {told}; they were made with "
                    f"{ALPHA_S * 1e6:.4g} µs and {1 / BETA_S:.4g} bytes/s")  # fmt: skip


link = Exercise(
    key="04.link",
    title="A link, from the times of a ring",
    difficulty=2,
    minutes=10,
    reference=_ring_link,
    check=_check_link,
    hints=(
        "The formula of the ring is linear in α and β. What stands before each of them?",
        "2(n−1) before α, 2(n−1) S/n before β. The fit of the ping-pong does the rest.",
        "Each size gives one row [2(n−1) / t, 2(n−1) S/n / t], and the right-hand side is 1 throughout.",
    ),
)


# 04.crossover


def _overtaken_at(nodes, cluster):  # type: ignore[no-untyped-def]
    rounds, steps = 2 * math.ceil(math.log2(nodes)), 2 * (nodes - 1)
    more_latency_s = (steps - rounds) * cluster.latency_s
    fewer_tensors = rounds - steps / nodes  # that go over a link, one after another
    return more_latency_s / fewer_tensors * cluster.bandwidth_bytes_per_s


def _check_crossover(answer: Callable[..., Any]) -> str:
    for latency_s, bandwidth in ((50e-6, 1e9), (2e-6, 1e8)):
        cluster = Cluster(latency_s=latency_s, bandwidth_bytes_per_s=bandwidth)
        for nodes in (8, 64, 1000, 4, 3, 2):
            got, right = answer(nodes, cluster), _overtaken_at(nodes, cluster)
            if isinstance(got, bool) or not isinstance(got, int | float):
                raise Wrong(f"return one number, the size in bytes, and not {got!r:.60}")
            if not math.isclose(got, right, rel_tol=1e-3, abs_tol=1e-6):
                raise Wrong(_why(float(got), right, nodes, cluster))
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
