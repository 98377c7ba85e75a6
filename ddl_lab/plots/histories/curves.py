"""A metric of all ranks as one curve with a band: against steps, and against time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from ...history.history import History
from ...history.recorder import KINDS

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_NOT_SENT = [KINDS.index(kind) for kind in ("compute", "recv", "wait")]
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
    """One metric of a run against steps, seconds on the run's clock, and bytes."""

    steps: Points
    time: Points
    bytes: Points | None = None  # against what all ranks had sent, where that is asked for

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


def known_curve(history: History, name: str, label: str = "", smooth: int = 1) -> Curve:
    """The curve of ``name``; raises ``ValueError`` where no rank recorded it."""
    found = curve_of(history, name, smooth)
    if found is not None:
        return found
    of = f" of {label!r}" if label else ""
    known = ", ".join(metric_names(history))
    if not known:
        raise ValueError(
            f"the history{of} has no metrics: call node.record({name}=…) once a step in the worker."
        )
    raise ValueError(f"no metric {name!r} in the history{of}; it has {known}.")


def several(history: History, name: str) -> bool:
    """Whether more than one rank recorded the metric ``name``, so that its curve is a mean."""
    return sum(any(name in names for names in r.metrics) for r in history.recorders) > 1


def against_bytes(history: History, steps: Points) -> Points:
    """``steps`` over the bytes that all ranks together had sent by then.

    A rank that records counts as it stood at its own record of that step, at its last one after that; one
    that records nothing by its messages that had ended when the last rank recorded the step.
    Raises ``ValueError`` for a history that was saved before records knew what was sent.
    """
    sent, latest_s = np.zeros(len(steps.x)), np.zeros(len(steps.x))
    silent = []
    for recorder in history.recorders:
        by_row, rows = recorder.sent_array(), list(recorder.row_arrays().values())
        if not rows:
            silent.append(recorder.span_array())
            continue
        if not len(by_row):
            raise ValueError(
                "this history was saved before records knew what was sent: run it again for against='bytes'."
            )
        own, times_s = (np.concatenate([table[column] for table in rows]) for column in ("step", "time_s"))
        own, times_s = own[order := np.argsort(own)], times_s[order]
        at = np.maximum(np.searchsorted(own, steps.x, side="right") - 1, 0)  # some are skipped
        sent += by_row[at]
        latest_s = np.maximum(latest_s, times_s[at])
    return replace(steps, x=sent + sum((_sent_until(spans, latest_s) for spans in silent), 0.0))


def _sent_until(spans: Array, times_s: Array) -> Array:
    """At each time the bytes of one rank's own messages and collectives that had ended."""
    own = spans[~np.isin(spans["kind"], _NOT_SENT)]
    own = own[np.argsort(own["end_s"], kind="stable")]
    sums = np.concatenate([[0], np.cumsum(own["bytes"])])
    return sums[np.searchsorted(own["end_s"], times_s, side="right")]


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
