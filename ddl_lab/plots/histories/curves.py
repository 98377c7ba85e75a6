"""A metric of all ranks as one curve with a band: against steps, and against time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ...history.history import History

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
MOST_POINTS = 500  # of a curve against time: finer than the screen


@dataclass(frozen=True)
class Points:
    """One curve against one axis: the ranks' mean, lowest and highest; all of shape (k,)."""

    x: Array
    mean: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Curve:
    """One metric of a run against steps, and against seconds on the run's clock."""

    steps: Points
    time: Points

    @property
    def last(self) -> float:
        """The mean over ranks at the last step."""
        return float(self.steps.mean[-1])


def metric_names(history: History) -> list[str]:
    """The metrics that any rank has recorded."""
    return list(dict.fromkeys(n for r in history.recorders for names in r.metrics for n in names))


def curve_of(history: History, name: str, smooth: int = 1) -> Curve | None:
    """The metric ``name`` of all ranks that recorded it; None where none has, so far.

    ``smooth``: each value is the mean of its rank's last ``smooth`` ones, of fewer at the start.
    """
    ranks = [_rows(r.row_arrays(), name) for r in history.recorders]
    ranks = [(step, time_s, smoothed(values, smooth)) for step, time_s, values in ranks if len(step)]
    if not ranks:
        return None
    steps, times, values = (np.concatenate(column) for column in zip(*ranks, strict=True))
    by_step = _gathered(steps, values)
    clock = _gathered(steps, times)
    if _in_step(clock):
        return Curve(by_step, Points(clock.mean, by_step.mean, by_step.low, by_step.high))
    return Curve(by_step, _newest(ranks, times))


def _rows(tables: dict[tuple[str, ...], Array], name: str) -> tuple[Array, Array, Array]:
    """Steps, times and values of one rank, in the order of its steps."""
    parts = [rows for names, rows in tables.items() if name in names]
    if not parts:
        return (np.empty(0),) * 3
    columns = [np.concatenate([rows[c] for rows in parts]) for c in ("step", "time_s", name)]
    order = np.argsort(columns[0], kind="stable")
    return columns[0][order], columns[1][order], columns[2][order]


def smoothed(values: Array, window: int) -> Array:
    """The mean of each value and those up to ``window`` - 1 before it; shape (k,) as ``values``."""
    if window == 1 or not len(values):
        return values
    window = min(window, len(values))
    padded = np.concatenate([np.zeros(window - 1), values])
    sums = np.lib.stride_tricks.sliding_window_view(padded, window).sum(axis=1)
    return sums / np.minimum(np.arange(1, len(values) + 1), window)


def _gathered(steps: Array, values: Array) -> Points:
    """Mean, lowest and highest of the values of each step."""
    order = np.argsort(steps, kind="stable")
    x, first, count = np.unique(steps[order], return_index=True, return_counts=True)
    sorted_values = values[order]
    mean = np.add.reduceat(sorted_values, first) / count
    low, high = (ufunc.reduceat(sorted_values, first) for ufunc in (np.minimum, np.maximum))
    return Points(x.astype(np.int64), mean, low, high)


def _in_step(clock: Points) -> bool:
    """Whether no rank makes a step before all have made the one before, so that a step has a time.

    So it is where ranks meet in every step, however long they take from there to the record.
    """
    return bool(np.all(clock.high[:-1] <= clock.low[1:]))


def _newest(ranks: Sequence[tuple[Array, ...]], times: Array) -> Points:
    """At each time the newest value of every rank that has one."""
    grid = np.unique(times)
    if len(grid) > MOST_POINTS:
        grid = np.linspace(grid[0], grid[-1], MOST_POINTS)
    held = np.zeros((len(ranks), len(grid)))
    started = np.zeros(held.shape, dtype=bool)
    for row, (_, time_s, values) in enumerate(ranks):
        newest = np.searchsorted(time_s, grid, side="right") - 1
        started[row] = newest >= 0
        held[row] = np.where(started[row], values[newest], 0.0)
    low = np.where(started, held, np.inf).min(axis=0)
    high = np.where(started, held, -np.inf).max(axis=0)
    return Points(grid, held.sum(axis=0) / started.sum(axis=0), low, high)
