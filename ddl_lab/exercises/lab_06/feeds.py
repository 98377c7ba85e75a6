"""How many workers one server feeds before messages take their share of the step."""

from __future__ import annotations

import math

from ...cluster.model import Cluster
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..values import number
from .shared import CLUSTERS

SIZES = ((41_000, 0.05), (804_868, 5e-3), (804_868, 0.211), (8_000_000, 0.01))  # bytes, seconds computing
BINARY = Cluster(latency_s=0.375, bandwidth_bytes_per_s=8)  # where messages take just that share, to the bit
# the slow cluster first: there each likely mistake gives another number
CASES = [
    *((share, *size, cluster) for cluster in CLUSTERS[::-1] for size in SIZES for share in (0.5, 0.2)),
    (0.5, 8, 4.75, BINARY),
    (0.75, 8, 4.25, BINARY),
]


def _most_workers(share, nbytes, compute_s, cluster):  # type: ignore[no-untyped-def]
    messages_s = share / (1 - share) * compute_s  # then they take `share` of both together
    beta_s = nbytes / cluster.bandwidth_bytes_per_s
    return max(0, int((messages_s - 2 * cluster.latency_s) / beta_s - 1))


def _check_feeds(answer: Answer) -> str:
    for share, nbytes, compute_s, cluster in CASES:
        got = answer(share, nbytes, compute_s, cluster)
        right = _most_workers(share, nbytes, compute_s, cluster)
        if got is None and right == 0:
            raise Wrong("where not even one worker may be, the number 0 was asked, and not None")
        got = number(got, "the number of workers")
        if got != right:
            raise Wrong(_why_feeds(got, right, share, nbytes, compute_s, cluster))
    return "three clusters, five models, three shares"


def _why_feeds(got: float, right: int, share: float, nbytes: int, compute_s: float, cluster: Cluster) -> str:
    beta_s, alpha_s = nbytes / cluster.bandwidth_bytes_per_s, cluster.latency_s
    told = (
        f"{nbytes:,} bytes, {compute_s * 1e3:g} ms computing, {alpha_s * 1e6:g} µs and {beta_s * 1e3:.4g} ms "
        f"a message, share {share:g}: you say {got:g}, and {right} it is"
    )
    allowed_s = share / (1 - share) * compute_s
    if got < 0:
        return f"{told}: where not even one worker may be, it is 0 workers, and never fewer"
    if not float(got).is_integer():
        return f"{told}: workers are whole, so round down"
    if right == 0:
        return f"{told}: one worker's messages take more than that share already"
    if got == right - 1 and cluster is BINARY:
        return f"{told}: with {right} messages take just that share, which isn't more than it"
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
