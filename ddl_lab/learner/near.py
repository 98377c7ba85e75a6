"""How near a prediction came: by their ratio, by a distance, or because another value is right as well."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .numbers import amount

WHY = "worth finding out why"
FARTHEST = 1_000.0  # a dot stands at most so many times off: what has no ratio stands there


class Verdict(NamedTuple):
    """``words``, and where the dot stands: measured / predicted; 1 where right by a distance; always > 0."""

    words: str
    dot: float


@dataclass(frozen=True)
class Near:
    """What counts as right: ``distance`` in the question's unit, or ``factor``; neither: a tenth is."""

    distance: float | None = None
    factor: float | None = None

    def judge(self, predicted: float, measured: float, unit: str = "", also: Sequence[float] = ()) -> Verdict:
        """How near ``predicted`` came to ``measured``; each of ``also`` is right as well."""
        dot = dot_of(predicted, measured)
        if predicted == measured:
            return Verdict("exact", 1.0)
        if predicted in also:
            return Verdict(f"right: {amount(predicted, unit)} does as well", 1.0)
        if math.isnan(measured):
            return Verdict("what was measured is no number", dot)
        if math.isinf(predicted) or math.isinf(measured):
            return Verdict(f"one of the two is infinite, the other isn't: {WHY}", dot)
        if self.distance is not None:
            return self._by_distance(abs(measured - predicted), unit, dot)
        return Verdict(self._by_ratio(predicted, measured, unit), dot)

    def _by_distance(self, gap: float, unit: str, dot: float) -> Verdict:
        assert self.distance is not None
        if gap <= self.distance * (1 + 1e-9):  # 0.3 and 0.25 are no more than 0.05 apart
            return Verdict(f"right: no more than {amount(self.distance, unit)} apart", 1.0)
        return Verdict(f"{amount(gap, unit)} apart: {WHY}", dot)

    def _by_ratio(self, predicted: float, measured: float, unit: str) -> str:
        if not predicted or not measured:
            zero = "0 was measured" if not measured else "0 was predicted"
            return f"{zero}, and {amount(predicted or measured, unit)} is not 0: {WHY}"
        if measured / predicted < 0:
            return f"of the other sign: {WHY}"
        factor = max(measured / predicted, predicted / measured)
        if self.factor is not None and factor <= self.factor * (1 + 1e-9):
            return f"right: within a factor of {self.factor:.3g}"
        if self.factor is None and factor <= 1.1:
            return "very near: within a tenth"
        if self.factor is None and factor <= 2:
            return f"near: within a factor of {factor:.3g}"
        return f"off by a factor of {factor:.3g}: {WHY}"


def within(distance: float | None = None, *, factor: float | None = None) -> Near:
    """What counts as right in ``lab.ask(…, near=…)``: ``within(0.05)`` or ``within(factor=10)``.

    ``distance``: in the question's unit; 0: the very number, as for a count. ``factor``: either way.
    Raises ``ValueError`` unless exactly one is given, a distance from 0 or a factor from 1 on.
    """
    if (distance is None) == (factor is None):
        raise ValueError("within takes a distance or a factor: within(0.05), or within(factor=10)")
    if distance is not None and not 0 <= distance < math.inf:
        raise ValueError(f"within takes a distance from 0 on; it got {distance!r}")
    if factor is not None and not 1 <= factor < math.inf:
        raise ValueError(f"within takes a factor from 1 on; it got {factor!r}")
    return Near(distance, factor)


def dot_of(predicted: float, measured: float) -> float:
    """measured / predicted, at most ``FARTHEST`` either way, and there where it is no positive number."""
    if predicted == measured:
        return 1.0
    ratio = measured / predicted if predicted and not math.isinf(predicted) else math.nan
    if not 0 < ratio < math.inf:
        return FARTHEST if measured > predicted else 1 / FARTHEST
    return in_sight(ratio)


def in_sight(dot: float) -> float:
    """A dot's place, above 0, at most ``FARTHEST`` times off either way."""
    return min(max(dot, 1 / FARTHEST), FARTHEST)
