"""How many servers beat a ring."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ...cluster.model import Cluster
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..values import number
from .shared import CLUSTERS


def _enough_servers(workers, nbytes, cluster):  # type: ignore[no-untyped-def]
    alpha_s, beta_s = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
    ring_s = 2 * (workers - 1) * (alpha_s + beta_s / workers)
    for servers in range(1, workers + 1):
        if 2 * alpha_s + (workers / servers + 1) * beta_s <= ring_s:
            return servers
    return None


SIZES = ((8, 4_000), (8, 40_000), (16, 400_000), (64, 804_868), (2, 1_000), (3, 4_000), (16, 80_000_000))
BINARY = Cluster(latency_s=0.375, bandwidth_bytes_per_s=8)  # where both take equally long, to the bit
CASES = [
    *((workers, nbytes, cluster) for cluster in CLUSTERS for workers, nbytes in SIZES),
    *((workers, nbytes, CLUSTERS[0]) for workers, nbytes in ((5, 250_000), (3, 125_000), (1, 1_000))),
    (4, 8, BINARY),
]


def _check_servers(answer: Answer) -> str:
    for workers, nbytes, cluster in CASES:
        got, right = answer(workers, nbytes, cluster), _enough_servers(workers, nbytes, cluster)
        if got is not None:
            got = number(got, "the number of servers, or None,")
        if got != right:
            raise Wrong(_why_servers(got, right, workers, nbytes, cluster))
    return "1 to 64 workers on three clusters, with answers from 1 to none"


def _why_servers(got: float | None, right: Any, workers: int, nbytes: int, cluster: Cluster) -> str:
    alpha_s, beta_s = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
    told = (
        f"{workers} workers, {nbytes:,} bytes, {alpha_s * 1e6:g} µs and {beta_s * 1e3:.4g} ms a message: "
        f"you say {got if got is None else f'{got:g}'}, and {right} it is"
    )
    if got is not None and got > workers:
        return f"{told}: no more servers than workers were asked, else None"
    if got is not None and not got.is_integer():
        return f"{told}: servers are whole, so round up"
    if (got, right) == (None, workers):
        return f"{told}: there may be as many servers as workers"
    if (got, right) == (workers, None):
        return f"{told}: where no number of servers is enough, None was asked"
    # two mistakes may make the same number
    if likely := dict.fromkeys(words for words, wrong in _known(workers, alpha_s, beta_s) if got == wrong):
        return f"{told}: {'; or: '.join(likely)}"
    return f"{told}: the first of 1, 2, 3, … servers whose step is no longer than the ring's"


def _known(workers: int, alpha_s: float, beta_s: float) -> list[tuple[str, int | None]]:
    """Words for likely mistakes, and the number that each makes."""
    every = range(1, workers + 1)
    steps = 2 * (workers - 1)
    ring_s = steps * (alpha_s + beta_s / workers)

    def served_s(k: int) -> float:
        return 2 * alpha_s + (workers / k + 1) * beta_s

    def first(
        ring_s: float = ring_s, served_s: Callable[[int], float] = served_s, among: Sequence[int] = every
    ) -> int | None:
        return next((k for k in among if served_s(k) <= ring_s), None)

    left_s = ring_s - 2 * alpha_s - beta_s
    return [
        ("servers are whole: round up, not to the nearest",
         max(1, round(workers * beta_s / left_s)) if left_s > 0 else None),
        ("a message of the ring has S/w bytes, not S", first(steps * (alpha_s + beta_s))),
        ("the ring goes around twice: 2(w−1) messages", first(ring_s / 2)),
        ("the ring pays a latency for each of its 2(w−1) messages", first(steps * beta_s / workers)),
        ("with k servers a worker still pulls S bytes over its own link: (w/k + 1) βS, and not (w + 1)/k βS",
         first(served_s=lambda k: 2 * alpha_s + (workers + 1) / k * beta_s)),
        ("a server carries w/k slices' worth, and the worker's own link S besides",
         first(served_s=lambda k: 2 * alpha_s + workers / k * beta_s)),
        ("a step as long as the ring's is no longer than it",
         next((k for k in every if served_s(k) < ring_s), None)),
        ("w/k needn't be whole: a server has that many slices' worth of bytes",
         first(served_s=lambda k: 2 * alpha_s + (math.ceil(workers / k) + 1) * beta_s)),
        ("w/k needn't be whole: a server has that many slices' worth of bytes",
         first(served_s=lambda k: 2 * alpha_s + (workers // k + 1) * beta_s)),
        ("that is the most: the least number of servers was asked", first(among=every[::-1])),
        ("try every number of servers, not 1, 2, 4, … only",
         first(among=[2**k for k in range(workers.bit_length())])),
    ]  # fmt: skip


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
