"""The figure of speed-ups: a group of bars for each node count, beside the ideal."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .words import CLOCKS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def speedup(rates: Mapping[Any, Any], *, label: str | None = None, clock: str = "wall") -> Figure:
    """How many times one node's rate each node count reaches, as bars, beside the ideal.

    ``rates``: samples/s by number of nodes, ``{1: 900.0, 2: 1400.0}``, or several of these by
    label. The smallest number of nodes is the measure: it counts as itself. ``clock``: "wall",
    "paced" or "virtual", on which they were measured. Raises ``ValueError`` for what is no rate.
    """
    if clock not in CLOCKS:
        raise ValueError(f"speedup(clock={clock!r}): choose one of {', '.join(CLOCKS)}.")
    several = bool(rates) and all(isinstance(row, Mapping) for row in rates.values())
    by_label = dict(rates) if several else {label or "": rates}
    for key, row in by_label.items():
        _check(row, f" of {key!r}" if key else "")
    from .canvas import Canvas

    named = several or label is not None
    headline = f"speed-up in samples/s, {CLOCKS[clock]}; dashed: ideal"
    canvas = Canvas(6.4 if named else 5.0, 3.1, headline)
    (ax,) = canvas.row(1, right=1.6 if named else 0.2)
    _draw(ax, by_label, named)
    return canvas


def _check(row: Mapping[Any, Any], of: str) -> None:
    if not row:
        raise ValueError(f"speedup got no rates{of}: give samples/s by nodes, as in {{1: 900.0}}.")
    for nodes, rate in row.items():
        if not isinstance(nodes, int) or nodes < 1:
            raise ValueError(f"speedup: {nodes!r}{of} is no number of nodes: use 1, 2, 4, …")
        if not isinstance(rate, numbers.Real) or not 0 < float(rate) < float("inf"):
            raise ValueError(f"speedup: {nodes} nodes{of} have {rate!r}: give samples/s above 0.")


def _draw(ax: Axes, by_label: Mapping[str, Mapping[int, float]], named: bool) -> None:
    from .canvas import COLOURS, INK, style

    counts = sorted({nodes for row in by_label.values() for nodes in row})
    width = 0.8 / len(by_label)
    for place, (label, row) in enumerate(by_label.items()):
        first = min(row)
        ratios = [rate / row[first] * first for rate in row.values()]
        x = [counts.index(nodes) + (place + 0.5) * width - 0.4 for nodes in row]
        colour = COLOURS[place % len(COLOURS)]
        bars = ax.bar(x, ratios, width * 0.92, color=colour, label=label, zorder=2)
        ax.bar_label(bars, [f"{ratio:.3g}" for ratio in ratios], color=INK, fontsize=8, padding=2)
    for place, nodes in enumerate(counts):
        ax.plot([place - 0.45, place + 0.45], [nodes] * 2, color=INK, ls="--", lw=1.2)
    ax.set_xticks(range(len(counts)), [str(nodes) for nodes in counts])
    ax.grid(visible=False, axis="x")
    ax.set_xlabel("nodes")
    ax.set_ylabel("times one node")
    if named:
        with style():
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03))
