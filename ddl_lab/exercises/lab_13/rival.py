"""Each method at its own best learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import mean, median
from typing import Any

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import NO_RETURN, number

Losses = dict[str, dict[float, list[float]]]

TABLES: tuple[Losses, ...] = (
    {
        "old": {0.001: [0.30, 0.32, 0.31], 0.01: [0.11, 0.14, 0.12], 0.1: [0.71, 0.09, 0.70]},
        "new": {0.001: [0.19, 0.20, 0.18], 0.01: [0.15, 0.13, 0.17], 0.1: [math.inf, 0.05, math.inf]},
    },
    {
        "one": {0.1: [0.5, math.inf, 0.5], 0.2: [0.6, 0.6, 0.6], 0.4: [0.45, 0.7, 0.8]},
        "two": {0.1: [0.4, 0.9, 0.5], 0.2: [math.nan, 0.2, math.nan], 0.4: [0.55, 0.56, 0.51]},
        "three": {0.2: [0.31, 0.33, 0.32], 0.8: [0.34, 0.29, 0.35]},
    },
    {  # five seeds, and one; falling rates, and the best isn't next to the second best
        "five": {
            0.3: [0.5, 0.4, 0.45, 0.6, 0.55],
            0.1: [0.72, 0.71, 0.9, 0.8, 0.7],
            0.01: [math.nan, 0.2, 0.34, 0.3, 0.25],
        },
        "lone": {0.5: [0.62], 0.05: [0.66]},
    },
)


def _at_their_best(losses):  # type: ignore[no-untyped-def]
    best = {}
    for name, rates in losses.items():
        medians = {}
        for lr, seeds in rates.items():
            medians[lr] = sorted(x if x == x else float("inf") for x in seeds)[len(seeds) // 2]
        lr = min(medians, key=lambda rate: medians[rate])
        best[name] = (lr, medians[lr])
    return best


def _check_rival(answer: Answer) -> str:
    for losses in TABLES:
        got = call(answer, losses)
        if got is None:
            raise Wrong(f"your result {NO_RETURN}")
        if not isinstance(got, dict):
            raise Wrong(f"your result is a {type(got).__name__}: a dict was asked, name: (lr, median)")
        asked = _at_their_best(losses)
        if set(got) != set(asked):
            raise Wrong(
                f"your result has {', '.join(map(str, got)) or 'no name'}: it takes {', '.join(asked)}"
            )
        for name, right in asked.items():
            _compare(name, got[name], right, losses, got)
    return "three tables of one, three and five seeds, with runs in them that went to inf and to nan"


def _compare(name: str, got: Any, right: tuple[float, float], losses: Losses, all_got: Any) -> None:
    if not isinstance(got, tuple | list) or len(got) != 2:
        raise Wrong(f"{name}: give a pair, (learning rate, median loss)")
    lr, loss = (number(value, f"{name}'s {what}") for value, what in zip(got, ("rate", "loss"), strict=True))
    if math.isclose(lr, right[0]) and math.isclose(loss, right[1], rel_tol=1e-6):
        return
    if (
        all(isinstance(pair, tuple | list) and pair[0] == got[0] for pair in all_got.values())
        and len(losses) > 2
    ):
        raise Wrong(f"{got[0]:g} is your rate for all: each method has its own best one")
    told = f"{name}: you have {loss:.3g} at rate {lr:g}, and {right[1]:.3g} at {right[0]:g} was asked"
    for words, by in FAULTS:
        wrong = {rate: by(seeds) for rate, seeds in losses[name].items()}
        best = min(wrong, key=lambda rate: wrong[rate])
        fits = (wrong[best], median_of(losses[name][best]))
        if math.isclose(lr, best) and any(_same(loss, value) for value in fits):
            raise Wrong(f"{told}: {words}")
    raise Wrong(told)


def _same(one: float, other: float) -> bool:
    return one == other or math.isclose(one, other, rel_tol=1e-6)


def median_of(seeds: list[float]) -> float:
    """The median, a nan counting as the worst there is."""
    return median(math.inf if math.isnan(loss) else loss for loss in seeds)


FAULTS: tuple[tuple[str, Callable[[list[float]], float]], ...] = (
    ("you leave out the seeds that left the numbers: inf and nan are the worst losses there are",
     lambda seeds: median([loss for loss in seeds if math.isfinite(loss)] or [math.inf])),
    ("you take the luckiest seed: the median of a rate's seeds decides",
     lambda seeds: min(loss for loss in seeds if loss == loss)),
    ("you take the mean, which one bad seed decides: the median was asked",
     lambda seeds: mean(math.inf if loss != loss else loss for loss in seeds)),
    ("you look at the worst seed: the median was asked", lambda seeds: max(seeds)),
    ("you look at the first seed alone", lambda seeds: seeds[0]),
    ("you take the second of the sorted seeds, which is the middle one of three alone",
     lambda seeds: sorted(math.inf if loss != loss else loss for loss in seeds)[min(1, len(seeds) - 1)]),
    ("you take the worst rate: the lowest median was asked", lambda seeds: -median_of(seeds)),
)  # fmt: skip


rival = Exercise(
    key="13.rival",
    title="Each at its own best",
    difficulty=2,
    minutes=6,
    reference=_at_their_best,
    check=_check_rival,
    hints=(
        "Two loops: methods outside, rates inside. For each rate the median of its seeds.",
        "A nan compares with nothing: count it as inf before you sort.",
        "The best rate of a method is the one with the lowest median: `min(medians, key=medians.get)`.",
    ),
)
