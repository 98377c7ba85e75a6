"""What messages cost against their size, or against the number of nodes: lines for a model, dots for runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows: TypeAlias = Mapping[str, Mapping[float, float]]  # by label: y by x
_LEFT = 0.95  # inches, for ticks such as 100 µs
_UNITS = {"bytes": "B", "seconds": "s"}  # axes whose ticks carry a unit: 10 kB, 50 µs


def costs(
    lines: Rows,
    headline: str,
    *,
    dots: Rows | None = None,
    x: str = "bytes",
    y: str = "seconds",
    mark: tuple[float, float] | None = None,
    log: bool = True,
) -> Figure:
    """Draw ``lines`` and, in the colours of the same labels, ``dots``: rows {x: y} by label.

    ``x``, ``y``: the names of the axes; "bytes" and "seconds" are drawn with their units. ``mark``:
    a place to ring. ``log``: both axes are logarithmic. Raises ``ValueError`` where there is nothing to draw,
    and for numbers that a logarithm has no place for.
    """
    dots = dots or {}
    _check("costs", (lines, dots), log)
    from .canvas import INK, Canvas, legend_beside

    canvas = Canvas(7.8, 3.5, headline)
    (ax,) = canvas.row(1, right=2.2, gridspec_kw={"left": _LEFT / 7.8})
    _draw(ax, lines, dots, log)
    _axes(ax, x, y, log)
    if mark is not None:
        ax.plot(*mark, "o", color=INK, ms=13, mfc="none", mew=2, zorder=4)
        ax.axvline(mark[0], color=INK, lw=1, ls=":", zorder=1)
    legend_beside(ax)
    return canvas


def fitted(measured: Rows, lines: Rows, headline: str) -> Figure:
    """Measured seconds by bytes as dots beside a model's ``lines``, and measured / model, for each label.

    Both are rows {bytes: seconds} by label; the lines have every size that was measured. Raises
    ``ValueError`` where a line lacks one, and as ``costs`` does.
    """
    _check("fitted", (measured, lines), True)
    for label, row in measured.items():
        if missing := sorted(set(row) - set(lines.get(label, {}))):
            raise ValueError(f"fitted: the line of {label!r} has no value at {missing[0]:g} bytes.")
    from .canvas import INK, Canvas, legend_beside, style

    canvas = Canvas(8.2, 3.5, headline)
    times, ratios = canvas.row(2, right=1.0, sharey=False, gridspec_kw={"wspace": 0.28, "left": _LEFT / 8.2})
    _draw(times, lines, measured, True)
    _axes(times, "bytes", "seconds", True)
    shares = {
        label: {size: s / lines[label][size] for size, s in row.items()} for label, row in measured.items()
    }
    _draw(ratios, {}, shares, True, list(lines))
    with style():
        ratios.axhline(1, color=INK, lw=1.2, ls="--", zorder=1)
    _axes(ratios, "bytes", "measured / model", True)
    _plain_ratio(ratios, [share for row in shares.values() for share in row.values()])
    legend_beside(ratios, *times.get_legend_handles_labels())
    return canvas


def _check(call: str, groups: Sequence[Rows], log: bool) -> None:
    if not any(row for group in groups for row in group.values()):
        raise ValueError(f"{call} got nothing to draw: give rows as in {{'ring': {{1000: 0.01}}}}.")
    for label, row in [item for group in groups for item in group.items()]:
        for place, value in row.items():
            if not math.isfinite(value) or (log and not (place > 0 and value > 0)):
                kind = "numbers above 0" if log else "finite numbers"
                raise ValueError(f"{call}: {label!r} has {value:g} at {place:g}; it takes {kind}.")


def _draw(ax: Axes, lines: Rows, dots: Rows, log: bool, order: Sequence[str] = ()) -> None:
    from .canvas import COLOURS

    labels = list(dict.fromkeys([*order, *lines, *dots]))
    for number, label in enumerate(labels):
        look: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)]}
        if label in lines:
            ax.plot(list(lines[label]), list(lines[label].values()), lw=1.8, label=label, **look)
        if label in dots:
            look["label"] = None if label in lines else label
            ax.plot(list(dots[label]), list(dots[label].values()), "o", ms=5.5, zorder=3, **look)
    if log:
        ax.set(xscale="log", yscale="log")


def _axes(ax: Axes, x: str, y: str, log: bool) -> None:
    """Names, and ticks with units where the axis has one."""
    from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter

    ax.set(xlabel=x, ylabel=y)
    for axis, name in ((ax.xaxis, x), (ax.yaxis, y)):
        if log:
            axis.set_minor_formatter(NullFormatter())
        if name in _UNITS:
            axis.set_major_formatter(EngFormatter(unit=_UNITS[name]))
        else:
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _plain_ratio(ax: Axes, shares: Sequence[float]) -> None:
    """A y axis of ratios around 1, with ticks that can be read."""
    from matplotlib.ticker import FixedLocator, NullLocator

    far = 1.15 * max(2.0, *shares, *(1 / share for share in shares))
    ax.set_ylim(1 / far, far)
    ticks = [tick for tick in (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100) if 1 / far <= tick <= far]
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_minor_locator(NullLocator())
