"""The count of nodes beyond which more of them are slower."""

from __future__ import annotations

import math

from ...forecast.laws import usl
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..values import number

CASES = ((2.4e-4, 1.5e-5), (0.9, 0.004), (0.5, 0.01), (0.02, 0.0013), (0.0, 0.25), (0.9, 0.5), (0.0, 0.48))


def _best_count(sigma, kappa):  # type: ignore[no-untyped-def]
    around = int(math.sqrt((1 - sigma) / kappa))  # where the derivative is 0, rounded down
    pair = (max(1, around), around + 1)

    def speedup(n):  # type: ignore[no-untyped-def]
        return n / (1 + sigma * (n - 1) + kappa * n * (n - 1))

    return max(pair, key=speedup)


def _check_peak(answer: Answer) -> str:
    for sigma, kappa in CASES:
        told = f"sigma = {sigma:g}, kappa = {kappa:g}: your count"
        got = answer(sigma, kappa)
        right = _best_count(sigma, kappa)
        value = number(got, told)
        if value == right:
            continue
        if value == 0:
            raise Wrong(f"{told} is 0: one node is the least")
        for words, wrong in _mistakes(sigma, kappa):
            if math.isclose(value, wrong, rel_tol=1e-6) and wrong != right:
                raise Wrong(f"{told} is {value:.6g}: {words}")
        if not value.is_integer():
            raise Wrong(f"{told} is {value:.6g}: nodes come whole, take the better neighbour")
        mine, best = usl(value, sigma, kappa), usl(right, sigma, kappa)
        raise Wrong(f"{told} is {value:.0f}, a speed-up of {mine:.5g}; {right} nodes get {best:.5g}")
    return f"{len(CASES)} pairs, the better neighbour each time"


def _mistakes(sigma: float, kappa: float) -> list[tuple[str, float]]:
    """Sentences, and the numbers that they belong to, whole and not."""
    root = math.sqrt((1 - sigma) / kappa)
    found = [("nodes come whole: take the better neighbour", root)]
    found += [
        ("the other neighbour is better: compare both by the law", kind(root))
        for kind in (math.floor, math.ceil)
    ]
    for words, wrong in (
        ("the root is missing: (1 − sigma)/kappa is the square of the count", (1 - sigma) / kappa),
        ("sigma is missing: the root is of (1 − sigma)/kappa", math.sqrt(1 / kappa)),
        ("upside down: (1 − sigma) is divided by kappa", math.sqrt(kappa / (1 - sigma))),
        ("1 + sigma: sigma is taken away from 1", math.sqrt((1 + sigma) / kappa)),
        ("the root takes in both: √(1 − sigma) alone is divided with you", math.sqrt(1 - sigma) / kappa),
    ):  # fmt: skip
        counts = {kind(wrong) for kind in (round, math.floor, math.ceil)}
        found += [(words, wrong)] + [(words, count) for count in counts if count > 1]  # 1 has many causes
    return found


peak = Exercise(
    key="16.peak",
    title="The best count of nodes",
    difficulty=1,
    minutes=5,
    reference=_best_count,
    check=_check_peak,
    hints=(
        "S(n) = n / (1 + sigma (n − 1) + kappa n (n − 1)): where does it stop growing?",
        "Its derivative is 0 at n = √((1 − sigma)/kappa).",
        "That is no whole number: compare the speed-ups of the two neighbours, and take one node at least.",
    ),
)
