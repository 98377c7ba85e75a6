"""Curves that a lab works out itself: one panel or several over the same x, gaps where no number is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Panels: TypeAlias = Mapping[str, Mapping[str, tuple[Any, Any]]]
PLAIN: tuple[dict[str, Any], ...] = ({"lw": 1.5},)
OVERLAPPING: tuple[dict[str, Any], ...] = (  # a thick line first: one that lies on it leaves both to be seen
    {"lw": 3.6, "alpha": 0.7},
    {"lw": 1.7, "ls": "--"},
    {"lw": 1.7, "ls": ":"},
    {"lw": 1.5},
)


def lines(
    panels: Panels,
    headline: str,
    *,
    x: str,
    log: Collection[str] = (),
    limits: Mapping[str, tuple[float, float]] | None = None,
    points: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    at: float | None = None,
    overlapping: bool = False,
) -> Figure:
    """Draw curves over one x; a cross stands where one stops being a number.

    ``panels``: by the name of the y axis, with its unit; each has curves by label, (x (k,), y (k,)).
    ``x``: the name of the x axis. The axes named in ``log`` are logarithmic, that of x with a tick at each
    of its places; of the y axes ``limits`` fixes (low, high), ``points`` marks places (x, y) with rings.
    ``at``: an x to mark in every panel. ``overlapping``: curves that lie on each other stay visible.
    Raises ``ValueError`` for no panel, unequal lengths, and axes that there aren't.
    """
    limits, points = limits or {}, points or {}
    _check(panels, {*log, *limits, *points} - {x})
    from .canvas import COLOURS, INK, Canvas, plain_ticks, style

    looks = OVERLAPPING if overlapping else PLAIN
    labels = list(dict.fromkeys(label for curves in panels.values() for label in curves))
    canvas = Canvas(6.4 if len(panels) == 1 else 8.2, 3.5, headline)
    axes = canvas.row(len(panels), top=0.78, sharey=False, gridspec_kw={"wspace": 0.25})
    with style():
        for ax, (y, curves) in zip(axes, panels.items(), strict=True):
            for label, (places, values) in curves.items():
                number = labels.index(label)
                look = looks[number % len(looks)] | {"color": COLOURS[number % len(COLOURS)], "label": label}
                _curve(ax, np.asarray(places, float), np.asarray(values, float), look)
            for place in points.get(y, ()):
                ax.plot(*place, "o", color=INK, ms=7, mfc="none", mew=1.8, zorder=4)
            if at is not None:
                ax.axvline(at, color=INK, lw=1, zorder=0)
            ax.set(xlabel=x, ylabel=y, yscale="log" if y in log else "linear")
            if x in log:
                _log_x(ax, np.concatenate([places for places, _ in curves.values()]))
            ax.set_ylim(*limits.get(y, ax.get_ylim()))
            low, high = ax.get_ylim()
            if y in log and high < 1e3 * low:  # powers of ten alone would be too few
                plain_ticks(ax)
        _legend(canvas, axes)
    return canvas


def _check(panels: Panels, named: set[str]) -> None:
    if not panels:
        raise ValueError("lines got no panel: give {'loss (nats)': {'naive': (x, y)}}.")
    if unknown := sorted(named - set(panels)):
        raise ValueError(f"lines: no y axis is called {', '.join(unknown)}; there are {', '.join(panels)}.")
    for y, curves in panels.items():
        for label, (places, values) in curves.items():
            if np.shape(places) != np.shape(values) or np.ndim(places) != 1:
                shapes = f"x has shape {np.shape(places)}, y {np.shape(values)}"
                raise ValueError(f"lines: of {label!r} in {y!r} {shapes}: both must be one row (k,).")


def _curve(ax: Axes, places: Any, values: Any, look: dict[str, Any]) -> None:
    """One curve; crosses at the last numbers before a gap of inf or nan, and the first after it."""
    known = np.isfinite(values)
    ax.plot(places, np.where(known, values, np.nan), **look)
    beside = np.zeros_like(known)
    beside[:-1] |= ~known[1:]
    beside[1:] |= ~known[:-1]
    edges = known & beside
    ax.plot(places[edges], values[edges], "x", color=look["color"], ms=8, mew=2)


def _log_x(ax: Axes, places: Any) -> None:
    ax.set(xscale="log", xticks=np.unique(places))
    ax.set_xticks([], minor=True)
    ax.xaxis.set_major_formatter("{x:,.6g}")


def _legend(canvas: Any, axes: Sequence[Axes]) -> None:
    """All labels in one row between title and axes."""
    found = {label: line for ax in axes for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    place_x = axes[0].get_position().x0
    below = 0.36 + 0.19 * canvas.more_lines
    canvas.legend(
        found.values(),
        found.keys(),
        loc="upper left",
        bbox_to_anchor=(place_x, 1 - below / canvas.get_size_inches()[1]),
        ncols=len(found),
        borderaxespad=0,
    )
