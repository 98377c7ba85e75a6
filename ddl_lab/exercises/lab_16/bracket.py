"""Between which efficiencies a training run must lie."""

from __future__ import annotations

from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import check_number
from ..values import items, number

# seconds of computing, bytes, nodes, latency, bytes a second: far too much, partly hidden, all of it hidden
CASES = (
    (0.02, 60e6, 16, 5e-5, 1e9),
    (0.4, 550e6, 64, 20e-6, 3e9),
    (0.15, 100e6, 32, 10e-6, 6e9),
    (0.05, 4e6, 8, 1e-5, 1e9),
    (0.01, 8e5, 256, 5e-5, 1e9),
)


def _efficiencies(compute_s, nbytes, nodes, latency_s, bandwidth):  # type: ignore[no-untyped-def]
    ring_s = 2 * (nodes - 1) * (latency_s + nbytes / nodes / bandwidth)
    left_s = max(0.0, ring_s - 2 / 3 * compute_s)  # what the backward pass doesn't hide
    return compute_s / (compute_s + ring_s), compute_s / (compute_s + left_s)


def _check_bracket(answer: Answer) -> str:
    for case in CASES:
        compute_s, nbytes, nodes, latency_s, bandwidth = case
        got = items(answer(*case), "your pair")
        if len(got) != 2:
            raise Wrong("return two numbers: the lower efficiency, then the upper one")
        told = f"{compute_s:g} s, {nbytes / 1e6:g} MB on {nodes} nodes"
        low, high = _efficiencies(*case)
        pair = [number(value, f"{told}: an efficiency") for value in got]
        if all(abs(a - b) < 1e-6 for a, b in zip(pair[::-1], (low, high), strict=True)) and high - low > 1e-6:
            raise Wrong(f"{told}: you have them the other way round, the lower one comes first")

        def of(seconds: float, compute_s: float = compute_s) -> float:
            return compute_s / (compute_s + seconds)

        wait_s, moving_s = 2 * (nodes - 1) * latency_s, 2 * (nodes - 1) / nodes * nbytes / bandwidth
        ring_s, whole_s = wait_s + moving_s, 2 * nbytes / bandwidth
        check_number(
            pair[0], low, f"{told}: the lower efficiency",
            ("2S: a ring sends 2 (n − 1)/n of S from each node", of(wait_s + whole_s)),
            ("the latencies are missing: 2 (n − 1) messages follow each other", of(moving_s)),
            ("one latency: 2 (n − 1) messages follow each other", of(latency_s + moving_s)),
            ("half a ring: reduce-scatter and all-gather are n − 1 messages each", of(ring_s / 2)),
            ("2 (n − 1) S: each message carries an n-th of S", of(wait_s + moving_s * nodes)),
            ("that is the exchange over the computing: of the whole step, which part is computing?",
             ring_s / compute_s),
            ("that is the part that is lost: the efficiency is the rest", 1 - low),
        )  # fmt: skip
        check_number(
            pair[1], high, f"{told}: the upper efficiency",
            ("an efficiency above 1: what is hidden can't be more than the exchange itself",
             of(ring_s - 2 / 3 * compute_s)),
            ("hidden behind all computing: the forward pass has no gradient yet, 2/3 of it is backward",
             of(max(0.0, ring_s - compute_s))),
            ("hidden behind the forward pass: it is backward that makes gradients, 2/3 of the computing",
             of(max(0.0, ring_s - compute_s / 3))),
            ("1: as if all of it could always be hidden", 1.0),
            ("nothing is hidden: that is the lower one", low),
            ("a step of its own: the exchange that is left comes on top of the computing",
             min(1.0, compute_s / max(ring_s, 1e-12))),
        )  # fmt: skip
    return "five cases, from nothing hidden to all of it"


bracket = Exercise(
    key="16.bracket",
    title="An efficiency between two bounds",
    difficulty=2,
    minutes=8,
    reference=_efficiencies,
    check=_check_bracket,
    hints=(
        "An efficiency is computing over the whole step: c / (c + what comes on top).",
        "A ring: 2 (n − 1) messages one after another, each of S/n bytes.",
        "At best 2/3 of the computing hides it: max(0, ring − 2/3 c) is left, and not less than nothing.",
    ),
)
