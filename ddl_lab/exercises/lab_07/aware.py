"""A step that knows how stale it is."""

from __future__ import annotations

import torch

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare


def _aware_step(theta, gradient, read, version, lr):  # type: ignore[no-untyped-def]
    staleness = version - read
    return theta - lr / max(staleness, 1) * gradient


def _check_aware(answer: Answer) -> str:
    theta, gradient = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 1.0, -4.0])
    # first one in which each likely mistake makes another number
    for read, version, lr in ((2, 7, 0.2), (3, 3, 0.2), (3, 4, 0.5), (0, 40, 0.2)):
        stale = version - read
        try:
            got = call(answer, theta, gradient, read, version, lr)
        except ZeroDivisionError:
            raise Wrong(
                "a fresh gradient has staleness 0: it can't be divided by, and counts fully"
            ) from None
        told = f"a gradient of version {read} applied at version {version}"
        compare(
            got,
            theta - lr / max(stale, 1) * gradient,
            told,
            (f"{told} counts for lr / (τ + 1) with you: lr / τ was asked, for τ ≥ 1",
             theta - lr / (stale + 1) * gradient),
            (f"{told} counts fully with you: divide lr by its staleness", theta - lr * gradient),
            (f"{told} doesn't count at all with you", theta),
            (f"{told}: you multiplied by the staleness, so the stalest count most",
             theta - lr * stale * gradient),
            (f"{told}: you divided by the version, and its staleness is {stale}",
             theta - lr / max(version, 1) * gradient),
            (f"{told}: you divided by the version that was read, and its staleness is {stale}",
             theta - lr / max(read, 1) * gradient),
            (f"{told}: you went uphill; the gradient is subtracted",
             theta + lr / max(stale, 1) * gradient),
        )  # fmt: skip
    return "staleness 0, 1, 5 and 40"


aware = Exercise(
    key="07.aware",
    title="A step that knows how stale it is",
    difficulty=1,
    minutes=5,
    reference=_aware_step,
    check=_check_aware,
    hints=(
        "The staleness is the difference of two of the arguments.",
        "θ − η/τ · g; but what if τ is 0? Then nothing has changed since, and the gradient is right.",
        "`max(staleness, 1)`. Make a new tensor: `theta -= …` would change the caller's.",
    ),
)
