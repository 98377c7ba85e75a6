"""The figure of speed-ups: a group of bars for each node count, beside the ideal."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ...counted import counted
from ...history.history import History
from .words import CLOCKS, clock_of, joined

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABEL = 0.12  # how high a number stands, of the largest node count: with the space below it

Rates: TypeAlias = Mapping[int, float]  # samples/s by number of nodes


def speedup(
    rates: Mapping[Any, Any],
    *,
    label: str | None = None,
    clock: str | None = None,
) -> Figure:
    """How many times one node's rate each node count reaches, as bars, beside the ideal.

    ``rates``: samples/s by number of nodes, ``{1: 900.0, 2: 1400.0}``, or several of these by label;
    instead of a rate, a History whose worker told its samples. The smallest number of nodes is the
    measure: it counts as itself. ``clock``: "wall" (unless told), "paced" or "virtual", on which
    rates were measured; histories know theirs.
    Raises ``ValueError`` for what is no rate.
    """
    if clock is not None and clock not in CLOCKS:
        raise ValueError(f"speedup(clock={clock!r}): choose one of {', '.join(CLOCKS)}.")
    several = bool(rates) and all(isinstance(row, Mapping) for row in rates.values())
    by_label = dict(rates) if several else {label or "": rates}
    runs = [run for row in by_label.values() for run in row.values() if isinstance(run, History)]
    clocks = joined(map(clock_of, runs)) if runs and clock is None else CLOCKS[clock or "wall"]
    rows = {key: _checked(row, f" of {key!r}" if key else "") for key, row in by_label.items()}
    from ..canvas import Canvas

    named = several or label is not None
    canvas = Canvas(6.4 if named else 5.0, 3.1, f"speed-up in samples/s, {clocks}; dashed: ideal")
    (ax,) = canvas.row(1, right=1.6 if named else 0.2)
    _bars(ax, rows)
    _finish(ax, named)
    return canvas


def _checked(row: Mapping[Any, Any], of: str) -> Rates:
    if not row:
        raise ValueError(f"speedup got no rates{of}: give samples/s by nodes, as in {{1: 900.0}}.")
    found = {}
    for nodes, given in row.items():
        if not isinstance(nodes, int) or nodes < 1:
            raise ValueError(f"speedup: {nodes!r}{of} is no number of nodes: use 1, 2, 4, …")
        rate = given.samples_per_s if isinstance(given, History) else given
        if not isinstance(rate, numbers.Real) or not 0 < float(rate) < float("inf"):
            mend = "give samples/s above 0"
            if isinstance(given, History):
                mend = "its worker must compute under node.compute(samples=…)"
            raise ValueError(
                f"speedup: {counted(nodes, 'node')}{of} {'has' if nodes == 1 else 'have'} {rate!r}: {mend}."
            )
        found[nodes] = float(rate)
    return found


def _ratios(row: Rates) -> list[float]:
    """Times one node, in the order of ``row``; the smallest count is as good as ideal."""
    first = min(row)
    return [rate / row[first] * first for rate in row.values()]


def _bars(ax: Axes, rows: Mapping[str, Rates]) -> None:
    from ..canvas import COLOURS, INK

    counts = sorted({nodes for row in rows.values() for nodes in row})
    width = 0.8 / len(rows)
    for place, (label, row) in enumerate(rows.items()):
        ratios = _ratios(row)
        x = [counts.index(nodes) + (place + 0.5) * width - 0.4 for nodes in row]
        colour = COLOURS[place % len(COLOURS)]
        ax.bar(x, ratios, width * 0.92, color=colour, label=label, zorder=2)
        for middle, nodes, ratio in zip(x, row, ratios, strict=True):
            crossed = 0 <= nodes - ratio < _LABEL * counts[-1]  # the dashes would strike the number through
            ax.annotate(
                f"{ratio:.3g}",
                (middle, nodes if crossed else ratio),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=INK,
            )
    for place, nodes in enumerate(counts):
        ax.plot([place - 0.45, place + 0.45], [nodes] * 2, color=INK, ls="--", lw=1.2)
    ax.set_xticks(range(len(counts)), [str(nodes) for nodes in counts])
    ax.grid(visible=False, axis="x")


def _finish(ax: Axes, named: bool) -> None:
    from ..canvas import legend_beside

    ax.set_xlabel("nodes")
    ax.set_ylabel("times one node")
    if named:
        legend_beside(ax)
