"""A metric of all ranks as one curve with a band, and the figure that such curves are drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .canvas import Canvas

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
MOST_POINTS = 500  # of a curve against time: finer than the screen


@dataclass(frozen=True)
class Points:
    """One curve against one axis: the mean over ranks, the lowest and the highest; all of shape (k,)."""

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


def curve(history: History, name: str) -> Curve | None:
    """The metric ``name`` of all ranks that recorded it; None where none has, so far."""
    ranks = [_rows(r.row_arrays(), name) for r in history.recorders]
    ranks = [rows for rows in ranks if len(rows[0])]
    if not ranks:
        return None
    steps, times, values = (np.concatenate(column) for column in zip(*ranks, strict=True))
    by_step = _gathered(steps, values)
    clock = _gathered(steps, times)
    if _together(clock, [len(rows[0]) for rows in ranks]):
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


def _gathered(steps: Array, values: Array) -> Points:
    """Mean, lowest and highest of the values of each step."""
    order = np.argsort(steps, kind="stable")
    x, first, count = np.unique(steps[order], return_index=True, return_counts=True)
    sorted_values = values[order]
    mean = np.add.reduceat(sorted_values, first) / count
    low, high = (ufunc.reduceat(sorted_values, first) for ufunc in (np.minimum, np.maximum))
    return Points(x.astype(np.int64), mean, low, high)


def _together(clock: Points, counts: Sequence[int]) -> bool:
    """Whether all ranks make each step at about the same time, so that a step has a time."""
    if max(counts) - min(counts) > 1:
        return False
    gap = float(np.median(np.diff(clock.mean))) if len(clock.x) > 1 else np.inf
    return bool(np.all(clock.high - clock.low <= gap))


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


class CurveFigure:
    """Curves of one metric against time beside steps; a curve can be replaced while the figure lives."""

    def __init__(
        self, canvas: Canvas, name: str, clock: str, against: str = "both", named: bool = False
    ) -> None:
        axes = canvas.row(1 + (against == "both"), top=0.5, right=1.6 if named else 0.2)
        axes[0].set_ylabel(name)
        kinds = ("time", "steps") if against == "both" else (against,)
        self._axes: dict[str, Axes] = dict(zip(kinds, axes, strict=True))
        for kind, ax in self._axes.items():
            ax.set_xlabel("steps" if kind == "steps" else f"seconds ({clock})")
        self._named = named
        self._artists: dict[str, dict[str, tuple[Any, Any]]] = {}  # by label, by kind of axis
        self._extents: dict[str, dict[str, tuple[float, float, float]]] = {}

    def draw(self, label: str, curve: Curve, colour: str, faint: bool = False) -> None:
        """Draw the curve of this label, in place of its last one; a faint one has no band."""
        if label not in self._artists:
            self._artists[label] = {kind: _new(ax, colour) for kind, ax in self._axes.items()}
        self._extents[label] = {}
        for kind, (line, band) in self._artists[label].items():
            points = curve.steps if kind == "steps" else curve.time
            line.set_data(points.x, points.mean)
            line.set(marker="." if len(points.x) < 3 else "", alpha=0.45 if faint else 1)
            line.set(linewidth=1.0 if faint else 1.8, zorder=2.0 if faint else 2.5)
            band.set_data(points.x, points.low, points.high)
            band.set_visible(not faint and bool(np.any(points.low != points.high)))
            self._extents[label][kind] = _extent(points, faint)
        self._fit()

    def drop(self, label: str) -> None:
        """Remove the curve of this label, if there is one."""
        self._extents.pop(label, None)
        for artists in self._artists.pop(label, {}).values():
            for artist in artists:
                artist.remove()
        self._fit()

    def _fit(self) -> None:
        """Let the axes span what is drawn, from zero on, bands included."""
        for kind, ax in self._axes.items():
            extents = np.array([by_kind[kind] for by_kind in self._extents.values()])
            extents = extents[np.isfinite(extents).all(axis=1)] if len(extents) else extents
            if len(extents):
                right, low, high = extents[:, 0].max(), extents[:, 1].min(), extents[:, 2].max()
                ax.set_xlim(-0.02 * (right or 1), 1.02 * (right or 1))
                pad = 0.05 * (high - low or abs(high) or 1)
                ax.set_ylim(low - pad, high + pad)
        if self._named:
            self._legend()

    def _legend(self) -> None:
        from .canvas import style

        *_, (kind, ax) = self._axes.items()
        lines = [artists[kind][0] for artists in self._artists.values()]
        with style():
            ax.legend(lines, list(self._artists), loc="upper left", bbox_to_anchor=(1.0, 1.03))


def _new(ax: Axes, colour: str) -> tuple[Any, Any]:
    (line,) = ax.plot([], [], color=colour)
    return line, ax.fill_between([], [], [], color=colour, alpha=0.2, linewidth=0)


def _extent(points: Points, faint: bool) -> tuple[float, float, float]:
    """The right end, the lowest and the highest value; NaN where no value is finite."""
    low, high = (points.mean, points.mean) if faint else (points.low, points.high)
    finite = np.isfinite(low) & np.isfinite(high)
    if not finite.any():
        return np.nan, np.nan, np.nan
    return float(points.x[-1]), float(low[finite].min()), float(high[finite].max())
