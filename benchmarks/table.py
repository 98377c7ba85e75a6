"""Repeat, take medians, compare: what every benchmark shares."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

REPEATS = 5


@dataclass
class Row:
    """One comparison: ours against a peer, and the ratio that is to be reached."""

    what: str
    ours: str
    peer: str
    ratio: float
    target: float
    at_most: bool = False  # the target is an upper bound

    @property
    def met(self) -> bool:
        """Whether the ratio reaches its target."""
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def show(self) -> str:
        """One line of the table."""
        sign = "<=" if self.at_most else ">="
        verdict = "met" if self.met else "NOT MET"
        target = f"{sign} {self.target:g}"
        return f"{self.what:<62} {self.ours:>14} {self.peer:>26} {self.ratio:>8.2f} {target:>8}  {verdict}"


HEAD = f"{'medians of five':<62} {'ours':>14} {'peer':>26} {'ratio':>8} {'target':>8}"


def seconds(call: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def medians(contenders: dict[str, Callable[[], float]], repeats: int = REPEATS) -> dict[str, float]:
    """The median of each contender's own measurement; they take turns, so that drift hits all alike."""
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, measure in contenders.items():
            measured[name].append(measure())
    return {name: statistics.median(values) for name, values in measured.items()}
