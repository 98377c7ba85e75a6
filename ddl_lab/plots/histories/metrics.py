"""The figure of convergence: a metric against time beside the same against steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...history.history import History
from .curves import Curve, Points, against_bytes, known_curve, several
from .legends import fitting, folded
from .words import clock_of, described_together, joined, missed, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..canvas import Canvas

_AGAINST = {"both": ("time", "steps")} | {kind: (kind,) for kind in ("time", "steps", "bytes")}
ROOM = 0.3  # what axes that must grow get more than they need, as a share
BAND = "; line: mean over ranks, band: lowest to highest"


def metric(
    history: History | Mapping[str, History],
    name: str = "loss",
    *,
    against: str = "both",
    label: str | None = None,
    smooth: int = 1,
) -> Figure:
    """The metric ``name`` against time beside steps: the mean over ranks, in a band of all ranks.

    ``history``: one History, or several by label, a curve each. ``label``: names a single one in
    a legend. ``against``: "both", "time", "steps", or "bytes", what all ranks together had sent by
    their record of a step. Against time, ranks that step at times of their own count with their newest
    value. ``smooth``: draw the mean of each rank's last so many steps, and say so. Raises ``ValueError``
    for a metric that nobody recorded, naming those there are.
    """
    if against not in _AGAINST:
        raise ValueError(f"metric(against={against!r}): choose one of {', '.join(_AGAINST)}.")
    if not isinstance(smooth, int) or isinstance(smooth, bool) or smooth < 1:
        raise ValueError(f"metric(smooth={smooth!r}): give a number of steps from 1 up, as in smooth=20.")
    by_label = _by_label(history, label)
    curves = {key: known_curve(run, name, key, smooth) for key, run in by_label.items()}
    if against == "bytes":
        for key, run in by_label.items():
            curves[key] = replace(curves[key], bytes=against_bytes(run, curves[key].steps))
    from ..canvas import COLOURS, Canvas

    runs = list(by_label.values())
    named = len(runs) > 1 or label is not None
    band = BAND if any(several(run, name) for run in runs) else ""
    mean = f"; mean of {smooth} steps" if smooth > 1 else ""
    headline = f"{name}: {described_together(runs)}{missed(runs)}{mean}{band}"
    canvas = Canvas(7.6 if named or against == "both" else 5.0, 3.1, headline)
    figure = CurveFigure(canvas, name, joined(map(clock_of, runs)), against, named)
    for place, (key, curve) in enumerate(curves.items()):
        figure.draw(_legend_text(key, by_label), curve, COLOURS[place % len(COLOURS)])
    figure.arrange(_legend_text(key, by_label) for key in curves)
    return canvas


def _by_label(history: Any, label: str | None) -> dict[str, History]:
    found = dict(history) if isinstance(history, Mapping) else {label or "": history}
    for run in found.values():
        if not isinstance(run, History):
            raise TypeError(
                f"metric takes a History, or several by label; it got {run!r:.60}: pass what run "
                "or simulate returned."
            )
    if not found:
        raise ValueError("metric got no history: give at least one, as in {'4 nodes': history}.")
    return found


def _legend_text(label: str, by_label: Mapping[str, History]) -> str:
    """``label``, with its clock where the figure shows several."""
    clocks = {run.clock for run in by_label.values()}
    return label if len(clocks) == 1 else f"{label}\n({clock_of(by_label[label])})"


class CurveFigure:
    """Curves of one metric on a canvas: draw and drop them, again and again, then arrange them.

    ``moves``: curves and legend are left out when the canvas is drawn, for ``Layers`` to draw them on top.
    """

    def __init__(
        self,
        canvas: Canvas,
        name: str,
        clock: str,
        against: str = "both",
        named: bool = True,
        moves: bool = False,
    ) -> None:
        kinds = _AGAINST[against]
        axes = canvas.row(len(kinds), right=1.6 if named else 0.2)
        axes[0].set_ylabel(with_unit(name))
        self._axes: dict[str, Axes] = dict(zip(kinds, axes, strict=True))
        self._axes.get("steps", axes[0]).set_xlabel("steps")
        if "bytes" in self._axes:
            from matplotlib.ticker import EngFormatter

            axes[0].set_xlabel("bytes sent by all ranks")
            axes[0].xaxis.set_major_formatter(EngFormatter(unit="B"))
        self.name_clock(clock)
        self._named = named
        self._artists: dict[str, dict[str, tuple[Any, Any]]] = {}  # by label, by kind of axis
        self._extents: dict[str, dict[str, tuple[float, float, float]]] = {}
        self._drawn: dict[str, tuple[Any, ...]] = {}  # by label: the curve and its look
        self._named_as: tuple[Any, ...] = ()  # what the legend shows: names, and looks
        self._moves, self._fitted = moves, False

    def draw(self, label: str, curve: Curve, colour: str, faint: bool = False, dashed: bool = False) -> None:
        """Draw the curve of this label, in place of its last one; a faint one has no band."""
        last, self._drawn[label] = self._drawn.get(label), (curve, colour, faint, dashed)
        if last is not None and last[0] is curve and last[1:] == (colour, faint, dashed):
            return
        if label not in self._artists:
            self._artists[label] = {kind: _new(ax, colour) for kind, ax in self._axes.items()}
        self._extents[label] = {}
        for kind, (line, band) in self._artists[label].items():
            points = getattr(curve, kind)
            line.set_data(points.x, points.mean)
            line.set(marker="." if len(points.x) < 3 else "", zorder=2.0 if faint else 2.5)
            line.set(**_look(colour, faint, dashed))
            band.set_color(colour)
            band.set_data(points.x, points.low, points.high)
            band.set_visible(not faint and bool(np.any(points.low != points.high)))
            line.set_animated(self._moves)
            band.set_animated(self._moves)
            self._extents[label][kind] = _extent(points, faint)

    def name_clock(self, clock: str) -> None:
        """Say which clock the axis of time shows."""
        if "time" in self._axes:
            self._axes["time"].set_xlabel(f"seconds ({clock})")

    @property
    def labels(self) -> list[str]:
        """Of the curves that are drawn."""
        return list(self._artists)

    def drop(self, label: str) -> None:
        """Remove the curve of this label, if there is one."""
        self._extents.pop(label, None)
        self._drawn.pop(label, None)
        for artists in self._artists.pop(label, {}).values():
            for artist in artists:
                artist.remove()

    @property
    def moving(self) -> list[Any]:
        """The artists of all curves and the legend, in the order in which they are drawn."""
        found = [artist for artists in self._artists.values() for pair in artists.values() for artist in pair]
        legends = [ax.get_legend() for ax in self._axes.values()]
        return sorted(filter(None, [*found, *legends]), key=lambda artist: float(artist.get_zorder()))

    @property
    def behind(self) -> tuple[Any, ...]:
        """While this is equal, so is all that stands behind the moving artists."""
        return tuple((ax.get_xlim(), ax.get_ylim(), ax.get_xlabel()) for ax in self._axes.values())

    def arrange(self, labels: Iterable[str], exact: bool = True) -> None:
        """After drawing: fit the axes to all curves, and name them in this order.

        Unless ``exact``, axes that fit already stay as they are, and others get room to grow: a figure whose
        axes stand still is quicker to draw and easier to follow.
        """
        self._artists = {label: self._artists[label] for label in labels if label in self._artists}
        for kind, ax in self._axes.items():
            rows = [extents[kind] for extents in self._extents.values()]
            rows = [row for row in rows if np.isfinite(row).all()]
            if rows:
                rights, lows, highs = zip(*rows, strict=True)
                self._fit(ax, max(rights) or 1, min(lows), max(highs), exact or not self._fitted)
                self._fitted = self._fitted or ax is list(self._axes.values())[-1]
        if self._named:
            self._legend()

    def _fit(self, ax: Axes, right: float, low: float, high: float, exact: bool) -> None:
        """Limits for what reaches from 0 to ``right`` and from ``low`` to ``high``."""
        slack = 0.0 if exact else ROOM
        if exact or not _fits(ax.get_xlim(), 0.0, right):
            ax.set_xlim(-0.02 * right, (1.02 + slack) * right)
        if exact or not _fits(ax.get_ylim(), low, high):
            pad = (0.05 + slack / 2) * (high - low or abs(high) or 1)
            ax.set_ylim(low - pad, high + pad)

    def _legend(self) -> None:
        from matplotlib.lines import Line2D

        from ..canvas import legend_beside

        names = [folded(label) for label in self._artists]
        looks = [self._drawn[label][1:] for label in self._artists]
        if (names, looks) == self._named_as:
            return
        self._named_as = (names, looks)
        *_, ax = self._axes.values()
        lines = [Line2D([], [], **_look(*look)) for look in looks]
        legend_beside(ax, lines, names, fontsize=fitting(names)).set_animated(self._moves)


def _look(colour: str, faint: bool, dashed: bool) -> dict[str, Any]:
    """How a curve is drawn."""
    strength = {"alpha": 0.75, "linewidth": 1.1} if faint else {"alpha": 1, "linewidth": 1.8}
    return {"color": colour, "linestyle": "--" if dashed else "-", **strength}


def _fits(limits: tuple[float, float], low: float, high: float) -> bool:
    """Whether axes with these limits show everything from low to high, and not much more."""
    return limits[0] <= low and high <= limits[1] and high - low >= (limits[1] - limits[0]) / (1 + 2 * ROOM)


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
