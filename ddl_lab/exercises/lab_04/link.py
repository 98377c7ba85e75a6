"""A link's latency and bandwidth, from the times of a ring."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..helpers import Answer, Wrong, call
from ..machine import Exercise

LINKS = {4: (40e-6, 2e-9), 8: (90e-6, 1.3e-9)}  # by nodes: seconds, seconds a byte; to be recognised
OFF = (1.06, 0.96, 0.97, 1.03, 1.03, 0.94)  # measured times, relative to the model's


NEAR = 0.03  # all sizes together are off by less


def _ring_link(nodes, sizes, seconds):  # type: ignore[no-untyped-def]
    steps = 2 * (nodes - 1)  # messages one after another, of a chunk each
    rows = [[steps / t, steps * size / nodes / t] for size, t in zip(sizes, seconds, strict=True)]
    ones = torch.ones(len(rows), 1, dtype=torch.float64)  # (a alpha + b beta) / t = 1
    alpha, beta = (
        torch.linalg.lstsq(torch.tensor(rows, dtype=torch.float64), ones).solution.flatten().tolist()
    )
    return alpha, 1 / beta


def _check_link(answer: Answer) -> str:
    sizes = [4**k for k in range(3, 15, 2)]
    for nodes, (alpha_s, beta_s) in LINKS.items():
        exact = [2 * (nodes - 1) * (alpha_s + beta_s * size / nodes) for size in sizes]
        _check_pair(_pair(call(answer, nodes, sizes, exact)), nodes)
        measured = [off * t for off, t in zip(OFF, exact, strict=True)]
        alpha, bandwidth = _pair(call(answer, nodes, sizes, measured))
        _check_measured(alpha / alpha_s, bandwidth * beta_s, alpha_s)
    return "rings of 4 and 8 nodes on two links, from exact times and from times that are off by up to 6 %"


def _check_measured(alpha: float, bandwidth: float, alpha_s: float) -> None:
    """From noisy times; the first two are 1 where they are right."""
    told = "from exact times you are right; from times that are off by up to 6 %"
    if math.isclose(alpha, OFF[0], rel_tol=1e-3) and math.isclose(1 / bandwidth, OFF[-1], rel_tol=1e-3):
        raise Wrong(
            f"{told} you are off as far: the smallest and the largest size alone decide. Use all of them"
        )
    if not abs(alpha - 1) <= NEAR:
        where = f"{told} your latency is {alpha * alpha_s * 1e6:.3g} µs where {alpha_s * 1e6:.3g} were"
        if math.isclose(alpha, OFF[0], rel_tol=3e-3):
            raise Wrong(f"{where}, off as far as the smallest size's time is: that one alone decides it")
        raise Wrong(
            f"{where}: not all sizes count alike in it. If the long times decide it alone, divide each row "
            "by its time"
        )
    if not abs(bandwidth - 1) <= NEAR:
        raise Wrong(f"{told} your bandwidth is off by {abs(bandwidth - 1):.1%}: let all sizes count alike")


def _pair(got: Any) -> tuple[float, float]:
    try:
        alpha, bandwidth = (float(value) for value in got)
    except (TypeError, ValueError):
        raise Wrong(
            f"return two numbers, latency in seconds and bandwidth in bytes/s, and not {got!r:.60}"
        ) from None
    return alpha, bandwidth


def _check_pair(got: tuple[float, float], nodes: int) -> None:
    alpha_s, beta_s = LINKS[nodes]
    alpha, bandwidth = got[0] / alpha_s, got[1] * beta_s  # 1 where it is right
    steps = 2 * (nodes - 1)
    if math.isclose(got[1], beta_s, rel_tol=0.01):
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
                    f"{alpha_s * 1e6:.4g} µs and {1 / beta_s:.4g} bytes/s")  # fmt: skip


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
