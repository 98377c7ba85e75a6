"""Lab 07, asynchronous and stale: six exercises, from counting versions to a server of the first k."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .lab_07_race import first, winner
from .machine import Exercise, Wrong, call, close
from .mistakes import compare

__all__ = ["aware", "first", "gate", "limit", "versions", "winner"]


# 07.versions


def _staleness_of(arrivals):  # type: ignore[no-untyped-def]
    read, found = dict.fromkeys(arrivals, 0), []  # all have read version 0
    for version, worker in enumerate(arrivals):
        found.append(version - read[worker])
        read[worker] = version + 1  # its answer: this gradient is in it
    return found


def _check_versions(answer: Callable[..., Any]) -> str:
    for arrivals in ([1, 2, 3, 1, 2, 3], [2, 2, 2, 1, 3, 2], [1], [4, 1, 1, 4, 2, 3, 3, 1]):
        got, asked = call(answer, arrivals), _staleness_of(arrivals)
        if not isinstance(got, list | tuple) or len(got) != len(arrivals):
            raise Wrong(f"return a list with one number for each of the {len(arrivals)} arrivals")
        if list(got) == asked:
            continue
        told = f"for arrivals {arrivals} you have {list(got)}"
        late = [version - _came(arrivals, version) for version in range(len(arrivals))]
        if list(got) == late:
            raise Wrong(
                f"{told}: a worker is answered after its gradient has been applied, so that one is in what "
                "it reads and doesn't make its next gradient stale"
            )
        if list(got) == list(range(len(arrivals))):
            raise Wrong(f"{told}: that is the version; a worker reads again after each of its gradients")
        if list(got) == [value + 1 for value in asked]:
            raise Wrong(f"{told}: each is 1 too many; the gradient itself isn't in the parameters before it")
        place = next(k for k, pair in enumerate(zip(got, asked, strict=True)) if pair[0] != pair[1])
        raise Wrong(f"{told}: number {place}, of rank {arrivals[place]}, is of staleness {asked[place]}")
    return "four orders of arrival, one with a worker that comes thrice in a row"


def _came(arrivals: Sequence[int], version: int) -> int:
    """The version that was there when the worker of arrival ``version`` came last; 0 the first time."""
    return max((k for k in range(version) if arrivals[k] == arrivals[version]), default=0)


versions = Exercise(
    key="07.versions",
    title="Staleness from the order of arrival",
    difficulty=1,
    minutes=6,
    reference=_staleness_of,
    check=_check_versions,
    hints=(
        "Keep for each worker the version that it read last; all have read version 0 at the start.",
        "The gradient that arrives as number k, from 0, finds k gradients applied: version k.",
        "Its staleness is k minus what its worker read. Then it is applied, and its worker reads k + 1.",
    ),
)


# 07.gate


def _may_go_on(clocks, bound):  # type: ignore[no-untyped-def]
    return [worker for worker, clock in enumerate(clocks) if clock - min(clocks) <= bound]


def _check_gate(answer: Callable[..., Any]) -> str:
    for clocks, bound in (([3, 5, 4], 1), ([2, 2, 2], 0), ([0, 4, 2, 3], 3), ([7, 1, 1], math.inf),
                          ([1, 2, 1, 2], 0)):  # fmt: skip
        got, asked = call(answer, clocks, bound), _may_go_on(clocks, bound)
        if not isinstance(got, list | tuple | set):
            raise Wrong(f"return a list of places in clocks, and not {got!r:.60}")
        if sorted(got) == asked:
            continue
        told = f"clocks {clocks}, bound {bound}: you let {sorted(got)} go on, and {asked} may"
        lowest, highest = min(clocks), max(clocks)
        if sorted(got) == [w for w, c in enumerate(clocks) if c - lowest < bound]:
            raise Wrong(f"{told}; a gap of just the bound is still allowed: at bound 0 all equals go on")
        if sorted(got) == [w for w, c in enumerate(clocks) if highest - c <= bound]:
            raise Wrong(
                f"{told}; you measured from the fastest: who is behind must never wait, who is ahead must"
            )
        if sorted(got) == [c for c in clocks if c - lowest <= bound]:
            raise Wrong(f"{told}; those are the clocks, and the workers' places were asked")
        raise Wrong(told)
    return "five sets of clocks, with bounds of 0, 1, 3 and infinity"


gate = Exercise(
    key="07.gate",
    title="The gate of a bound",
    difficulty=1,
    minutes=4,
    reference=_may_go_on,
    check=_check_gate,
    hints=(
        "Who is the slowest? Nobody but the slowest decides how far the others may go.",
        "A worker may begin another gradient where its clock is at most `bound` ahead of the lowest clock.",
        "`enumerate(clocks)` gives places and clocks together.",
    ),
)


# 07.limit


def _largest_lr(curvature, workers):  # type: ignore[no-untyped-def]
    delay = workers - 1  # equal workers come in turn
    return 2 * math.sin(math.pi / (2 * (2 * delay + 1))) / curvature


def _check_limit(answer: Callable[..., Any]) -> str:
    def law(delay: float, curvature: float) -> float:
        return 2 * math.sin(math.pi / (2 * (2 * delay + 1))) / curvature

    for curvature, workers in ((1.0, 4), (10.0, 2), (0.5, 8), (4.0, 1)):
        got, asked = answer(curvature, workers), law(workers - 1, curvature)
        told = f"for curvature {curvature:g} and {workers} workers"
        likely = {
            law(workers, curvature): "of w workers in turn, w − 1 others come in between: the delay is w − 1",
            law(workers - 1, 1.0): "the formula is for ηλ: divide by the curvature",
            law(workers - 1, curvature) * curvature**2: "divide by the curvature, where you multiplied",
            2 / curvature: "that is the limit without a delay",
            2 * math.sin(math.radians(math.pi / (2 * (2 * workers - 1)))) / curvature:
                "math.sin takes radians already",
            2 / curvature / workers: "that is the synchronous limit for a sum over all workers",
        }  # fmt: skip
        for value, words in likely.items():
            if isinstance(got, float | int) and math.isclose(got, value) and not math.isclose(value, asked):
                raise Wrong(f"{told} you have {got:.4g}, and {asked:.4g} was asked: {words}")
        close(got, asked, f"your learning rate {told}", rtol=1e-6)
    return "1, 2, 4 and 8 workers on four curvatures"


limit = Exercise(
    key="07.limit",
    title="The largest learning rate for w equal workers",
    difficulty=2,
    minutes=5,
    reference=_largest_lr,
    check=_check_limit,
    hints=(
        "Equal workers come in turn. How many gradients of others are applied during one of mine?",
        "Section 4 has the limit of ηλ for a delay τ. Here τ = w − 1.",
        "η is what was asked, ηλ is what the formula gives.",
    ),
)


# 07.aware


def _aware_step(theta, gradient, read, version, lr):  # type: ignore[no-untyped-def]
    staleness = version - read
    return theta - lr / max(staleness, 1) * gradient


def _check_aware(answer: Callable[..., Any]) -> str:
    theta, gradient = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 1.0, -4.0])
    for read, version in ((3, 3), (3, 4), (2, 7), (0, 40)):
        stale = version - read
        try:
            got = call(answer, theta, gradient, read, version, 0.2)
        except ZeroDivisionError:
            raise Wrong(
                "a fresh gradient has staleness 0: it can't be divided by, and counts fully"
            ) from None
        told = f"a gradient of version {read} applied at version {version}"
        compare(
            got,
            theta - 0.2 / max(stale, 1) * gradient,
            told,
            (f"{told} counts for lr / (τ + 1) with you: lr / τ was asked, for τ ≥ 1",
             theta - 0.2 / (stale + 1) * gradient),
            (f"{told} counts fully with you: divide lr by its staleness", theta - 0.2 * gradient),
            (f"{told}: you multiplied by the staleness, so the stalest count most",
             theta - 0.2 * stale * gradient),
            (f"{told}: you divided by the version, and its staleness is {stale}",
             theta - 0.2 / max(version, 1) * gradient),
            (f"{told}: you went uphill; the gradient is subtracted",
             theta + 0.2 / max(stale, 1) * gradient),
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
