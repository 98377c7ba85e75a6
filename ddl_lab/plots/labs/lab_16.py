"""The figures of scaling: speed-ups with the laws through them, predictions beside runs, and brackets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve: TypeAlias = Mapping[int, float]  # y by nodes


def scaling(
    laws: Mapping[str, Curve],
    headline: str,
    *,
    fitted: Curve | None = None,
    beyond: Curve | None = None,
    mark: int | None = None,
    y: str = "speed-up",
) -> Figure:
    """Draw speed-ups against nodes on logarithmic axes: laws as lines, what they were fitted to as dots.

    ``laws``: by label, each {nodes: speed-up}. ``fitted``: the dots; ``beyond``: rings, what the laws haven't
    seen. ``mark``: a count of nodes to point out. Raises ``ValueError`` for nothing to draw, and for a
    number that isn't above 0.
    """
    fitted, beyond = fitted or {}, beyond or {}
    _check_above_0("scaling", {**laws, "fitted": fitted, "beyond": beyond})
    from ..canvas import COLOURS, INK, Canvas, legend_beside

    canvas = Canvas(8.0, 3.7, headline)
    (ax,) = canvas.row(1, right=2.3)
    for number, (label, curve) in enumerate(laws.items()):
        style = ("-", "--", ":", "-.")[number % 4]  # laws lie on each other where they agree
        ax.plot(list(curve), list(curve.values()), ls=style, lw=2, color=COLOURS[number], label=label)
    if fitted:
        ax.axvspan(min(fitted), max(fitted), color=INK, alpha=0.12, lw=0, zorder=0)
        ax.plot(list(fitted), list(fitted.values()), "o", ms=6, color=INK, zorder=4, label="what was fitted")
    if beyond:
        ax.plot(list(beyond), list(beyond.values()), "o", ms=7, color=INK, mfc="none", mew=1.6, zorder=4,
                label="what is so" if fitted else None)  # fmt: skip
    if mark is not None:
        ax.axvline(mark, color=INK, lw=1, ls=":", zorder=1)
    ax.set(xscale="log", yscale="log", xlabel="nodes", ylabel=y)
    _node_ticks(ax, [n for curve in (*laws.values(), fitted, beyond) for n in curve])
    legend_beside(ax)
    return canvas


def ratios(rows: Mapping[str, Mapping[str, float]], headline: str, faint: Sequence[str] = ()) -> Figure:
    """Draw measured over predicted, a line of dots for each of ``rows`` and a colour for each kind in it.

    ``rows``: by what was run, {kind: ratio}. ``faint``: kinds drawn as rings. Raises ``ValueError`` for
    nothing to draw, and for a ratio that isn't above 0.
    """
    _check_above_0("ratios", rows)
    from matplotlib.ticker import FixedLocator, NullLocator

    from ..canvas import COLOURS, INK, Canvas, legend_beside

    kinds = list(dict.fromkeys(kind for row in rows.values() for kind in row))
    canvas = Canvas(7.6, 1.3 + 0.28 * len(rows), headline)
    (ax,) = canvas.row(1, right=2.2, gridspec_kw={"left": 1.75 / 7.6})
    for place, row in enumerate(rows.values()):
        for kind, ratio in row.items():
            colour = COLOURS[kinds.index(kind) % len(COLOURS)]
            ax.plot(ratio, place, "o", ms=7, mew=1.6, color=colour, mfc="none" if kind in faint else colour)
    for kind in kinds:
        colour = COLOURS[kinds.index(kind) % len(COLOURS)]
        ax.plot([], [], "o", ms=7, mew=1.6, color=colour, mfc="none" if kind in faint else colour, label=kind)
    ax.axvline(1, color=INK, lw=1.3, zorder=1)
    found = [ratio for row in rows.values() for ratio in row.values()]
    far = 1.15 * max(2.0, *found, *(1 / ratio for ratio in found))
    ticks = [t for t in (0.1, 0.2, 0.33, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10) if 1 / far <= t <= far]
    ax.set(xscale="log", xlim=(1 / far, far), xlabel="measured / predicted")
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(yticks=range(len(rows)), yticklabels=list(rows), ylim=(len(rows) - 0.5, -0.5))
    legend_beside(ax)
    return canvas


def brackets(
    rows: Mapping[str, tuple[float, float]], published: Mapping[str, float], headline: str
) -> Figure:
    """Draw efficiencies as bars from a lower to an upper bound, their widths beside them, dots on them.

    ``rows``: (lower, upper) by name; ``published``: a number by name. Raises ``ValueError`` for no row,
    bounds that aren't in order between 0 and 1, and a number without a row.
    """
    _check_brackets(rows, published)
    from ..canvas import COLOURS, INK, Canvas, legend_beside

    canvas = Canvas(7.6, 1.35 + 0.34 * len(rows), headline)
    (ax,) = canvas.row(1, right=2.2, gridspec_kw={"left": 1.75 / 7.6})
    for place, (name, (low, high)) in enumerate(rows.items()):
        label = "none to all hidden" if place == 0 else None
        ax.barh(place, max(high - low, 2e-3), 0.5, left=low, color=COLOURS[0], alpha=0.75, label=label)
        words = f"{high - low:.2f} wide"
        look: dict[str, Any] = {
            "textcoords": "offset points",
            "va": "center",
            "ha": "right",
            "color": INK,
            "fontsize": 8.5,
        }
        ax.annotate(words, (low, place), (-5, 0), **look)
        if name in published:
            label = "published" if name == next(iter(published)) else None
            ax.plot(published[name], place, "D", ms=8, color=COLOURS[1], mec="white", mew=0.8, label=label)
    ax.set(yticks=range(len(rows)), yticklabels=list(rows), xlim=(0, 1.02), xlabel="scaling efficiency")
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(False, axis="y")
    legend_beside(ax)
    return canvas


def _check_brackets(rows: Mapping[str, tuple[float, float]], published: Mapping[str, float]) -> None:
    if not rows:
        raise ValueError("brackets got no row: give {'VGG-16': (0.5, 0.8)}.")
    for name, (low, high) in rows.items():
        if not 0 <= low <= high <= 1:
            raise ValueError(f"brackets: {name!r} goes from {low:g} to {high:g}: both are 0 to 1, in order.")
    if unknown := sorted(set(published) - set(rows)):
        raise ValueError(f"brackets: no row is called {', '.join(unknown)}; there are {', '.join(rows)}.")


def _check_above_0(call: str, rows: Mapping[str, Mapping]) -> None:
    if not any(rows.values()):
        raise ValueError(f"{call} got nothing to draw.")
    for label, row in rows.items():
        for place, value in row.items():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{call}: {label!r} has {value:g} at {place}; it takes numbers above 0.")


def _node_ticks(ax: Axes, counts: Sequence[int]) -> None:
    """Powers of four as ticks of the nodes' axis, plain numbers on the other."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    most = max(counts)
    ax.xaxis.set_major_locator(FixedLocator([4**k for k in range(12) if 4**k <= most]))
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
