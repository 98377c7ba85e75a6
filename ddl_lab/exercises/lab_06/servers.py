"""How many servers beat a ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...cluster.model import Cluster
from ..helpers import Answer, Wrong
from ..machine import Exercise
from .shared import CLUSTERS


def _enough_servers(workers, nbytes, cluster):  # type: ignore[no-untyped-def]
    alpha_s, beta_s = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
    ring_s = 2 * (workers - 1) * (alpha_s + beta_s / workers)
    for servers in range(1, workers + 1):
        if 2 * alpha_s + (workers / servers + 1) * beta_s <= ring_s:
            return servers
    return None


SIZES = ((8, 4_000), (8, 40_000), (16, 400_000), (64, 804_868), (2, 1_000), (3, 4_000), (16, 80_000_000))


def _check_servers(answer: Answer) -> str:
    for cluster in CLUSTERS:
        for workers, nbytes in SIZES:
            got, right = answer(workers, nbytes, cluster), _enough_servers(workers, nbytes, cluster)
            if got is not None and (isinstance(got, bool) or not isinstance(got, int | float)):
                raise Wrong(f"return a number of servers or None, and not {got!r:.60}")
            if got != right:
                raise Wrong(_why_servers(got, right, workers, nbytes, cluster))
    return "2 to 64 workers on two clusters, with answers from 1 to none"


def _why_servers(got: Any, right: Any, workers: int, nbytes: int, cluster: Cluster) -> str:
    alpha_s, beta_s = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
    told = (
        f"{workers} workers, {nbytes:,} bytes, {alpha_s * 1e6:g} µs and {beta_s * 1e3:.4g} ms a message: "
        f"you say {got}, and {right} it is"
    )
    if got is not None and got > workers:
        return f"{told}: no more servers than workers were asked, else None"
    if got is not None and not float(got).is_integer():
        return f"{told}: servers are whole, so round up"

    def fewest(ring_s: float, served_s: Callable[[int], float]) -> int | None:
        return next((k for k in range(1, workers + 1) if served_s(k) <= ring_s), None)

    def served_s(k: int) -> float:
        return 2 * alpha_s + (workers / k + 1) * beta_s

    steps = 2 * (workers - 1)
    ring_s = steps * (alpha_s + beta_s / workers)
    for words, wrong in (
        ("a message of the ring has S/w bytes, not S", fewest(steps * (alpha_s + beta_s), served_s)),
        ("the ring goes around twice: 2(w−1) messages", fewest(ring_s / 2, served_s)),
        ("the ring pays a latency for each of its 2(w−1) messages",
         fewest(steps * beta_s / workers, served_s)),
        ("with k servers a worker still pulls S bytes over its own link: (w/k + 1) βS, and not (w + 1)/k βS",
         fewest(ring_s, lambda k: 2 * alpha_s + (workers + 1) / k * beta_s)),
        ("a server carries w/k slices' worth, and the worker's own link S besides",
         fewest(ring_s, lambda k: 2 * alpha_s + workers / k * beta_s)),
    ):  # fmt: skip
        if got == wrong:
            return f"{told}: {words}"
    return f"{told}: the first of 1, 2, 3, … servers whose step is no longer than the ring's"


servers = Exercise(
    key="06.servers",
    title="How many servers beat a ring",
    difficulty=3,
    minutes=10,
    reference=_enough_servers,
    check=_check_servers,
    hints=(
        "Computing takes equally long in both, so leave c out. What is left of each formula?",
        "2α + (w/k + 1) βS against 2(w−1)(α + βS/w), with βS = nbytes / bandwidth.",
        "Try k = 1, 2, …, w in a loop, and return the first that is no slower than the ring; else None.",
    ),
)
