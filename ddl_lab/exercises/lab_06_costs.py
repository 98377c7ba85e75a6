"""Lab 06's two exercises on cost: how many workers a server feeds, and how many servers beat a ring."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..cluster.model import Cluster
from .machine import Exercise, Wrong

CLUSTERS = (
    Cluster(latency_s=50e-6, bandwidth_bytes_per_s=1e9),
    Cluster(latency_s=2e-3, bandwidth_bytes_per_s=1e8),
)
CASES = ((804_868, 5e-3), (804_868, 0.211), (41_000, 0.05), (8_000_000, 0.01))  # bytes, seconds computing


# 06.feeds


def _most_workers(share, nbytes, compute_s, cluster):  # type: ignore[no-untyped-def]
    messages_s = share / (1 - share) * compute_s  # then they take `share` of both together
    beta_s = nbytes / cluster.bandwidth_bytes_per_s
    return max(0, int((messages_s - 2 * cluster.latency_s) / beta_s - 1))


def _check_feeds(answer: Callable[..., Any]) -> str:
    for cluster in CLUSTERS:
        for nbytes, compute_s in CASES:
            for share in (0.5, 0.2):
                got = answer(share, nbytes, compute_s, cluster)
                right = _most_workers(share, nbytes, compute_s, cluster)
                if isinstance(got, bool) or not isinstance(got, int | float):
                    raise Wrong(f"return one number of workers, and not {got!r:.60}")
                if got != right:
                    raise Wrong(_why_feeds(got, right, share, nbytes, compute_s, cluster))
    return "two clusters, four models, two shares"


def _why_feeds(got: float, right: int, share: float, nbytes: int, compute_s: float, cluster: Cluster) -> str:
    beta_s, alpha_s = nbytes / cluster.bandwidth_bytes_per_s, cluster.latency_s
    told = (
        f"{nbytes:,} bytes, {compute_s * 1e3:g} ms computing, {alpha_s * 1e6:g} µs and {beta_s * 1e3:.4g} ms "
        f"a message, share {share:g}: you say {got:g}, and {right} it is"
    )
    allowed_s = share / (1 - share) * compute_s
    if got < 0:
        return f"{told}: not even one worker may be 0 workers, but never fewer"
    if not float(got).is_integer():
        return f"{told}: workers are whole, so round down"
    for words, limit in (
        ("`share` is a share of the whole step, computing and messages, not of the computing alone",
         (share * compute_s - 2 * alpha_s) / beta_s - 1),
        ("w + 1 messages go one after another, as no push overlaps its own pull (or did you round up?)",
         (allowed_s - 2 * alpha_s) / beta_s),
        ("pulls and pushes go in opposite directions, and the link carries both at once",
         (allowed_s - 2 * alpha_s) / beta_s / 2),
        ("a pull and a push: two latencies", (allowed_s - alpha_s) / beta_s - 1),
        ("all pulls leave at once, so latency is not paid for each worker",
         allowed_s / (alpha_s + beta_s) - 1),
    ):  # fmt: skip
        if got == max(0, math.floor(limit)):
            return f"{told}: {words}"
    return told


feeds = Exercise(
    key="06.feeds",
    title="How many workers one server feeds",
    difficulty=2,
    minutes=8,
    reference=_most_workers,
    check=_check_feeds,
    hints=(
        "In c + 2α + (w + 1) βS everything but c is messages. Which of it may there be?",
        "Messages m may take share · (c + m), so m = share / (1 − share) · c at most.",
        "Solve 2α + (w + 1) βS ≤ m for w, and round down with int(…); never below 0.",
    ),
)


# 06.servers


def _enough_servers(workers, nbytes, cluster):  # type: ignore[no-untyped-def]
    alpha_s, beta_s = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
    ring_s = 2 * (workers - 1) * (alpha_s + beta_s / workers)
    for servers in range(1, workers + 1):
        if 2 * alpha_s + (workers / servers + 1) * beta_s <= ring_s:
            return servers
    return None


SIZES = ((8, 4_000), (8, 40_000), (16, 400_000), (64, 804_868), (2, 1_000), (3, 4_000), (16, 80_000_000))


def _check_servers(answer: Callable[..., Any]) -> str:
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
