"""The figures of compression: losses against bytes and seconds, and a sweep of all ways at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves: TypeAlias = Mapping[str, tuple[Sequence[float], Sequence[float]]]
MOST_LOSS = 1.0  # a sweep's losses above it stand on the upper edge


def races(panels: Mapping[str, Curves], headline: str, *, y: str = "loss", target: float = 0.0) -> Figure:
    """Draw curves against something spent, a panel for each kind of it, on logarithmic x axes.

    ``panels``: by the name of the x axis, with its unit, curves by label: (x (k,), y (k,)), x above 0.
    ``target``: a loss to mark. Raises ``ValueError`` for no panel, and for an x that isn't above 0.
    """
    if not panels:
        raise ValueError("races got no panel: give {'seconds': {'dense': (x, y)}}.")
    for curves in panels.values():
        for label, (places, _) in curves.items():
            if min(places) <= 0:
                raise ValueError(f"races: {label!r} has x = {min(places):g}: it takes numbers above 0.")
    from ..canvas import COLOURS, INK, Canvas

    labels = list(dict.fromkeys(label for curves in panels.values() for label in curves))
    canvas = Canvas(6.8 if len(panels) == 1 else 9.0, 3.4, headline)
    axes = canvas.row(len(panels), right=1.75)
    for ax, (x, curves) in zip(axes, panels.items(), strict=True):
        for label, (places, values) in curves.items():
            look: dict[str, Any] = {"color": COLOURS[labels.index(label) % len(COLOURS)], "label": label}
            ax.plot(places, values, lw=1.7, **look)
        if target:
            ax.axhline(target, color=INK, lw=1, ls=":")
        ax.set(xlabel=x, xscale="log")
        _plain_x(ax)
    axes[0].set_ylabel(y)
    _legend(axes[-1])
    return canvas


def sweep(table: pd.DataFrame, headline: str) -> Figure:
    """Each way's loss against kilobytes a step: rings without memory, dots with; seeds one above another.

    ``table``: rows of way, remembered ("nothing" or "memory"), loss, kb. Losses above 1 stand as crosses on
    the upper edge. Raises ``ValueError`` for a table without rows of this kind.
    """
    rows = table[table.remembered.isin(["nothing", "memory"])]
    if rows.empty:
        raise ValueError("sweep: the table has no row that remembers 'nothing' or 'memory'.")
    from ..canvas import COLOURS, Canvas

    canvas = Canvas(8.4, 3.9, headline)
    (ax,) = canvas.row(1, right=2.4)
    families = list(dict.fromkeys(_family(way) for way in rows.way))
    for place, family in enumerate(families):
        mine, colour = rows[rows.way.map(_family) == family], COLOURS[place % len(COLOURS)]
        for remembered, fill in (("nothing", "none"), ("memory", colour)):
            part = mine[(mine.remembered == remembered) & (mine.loss <= MOST_LOSS)]
            ax.plot(part.kb, part.loss, "o", ms=6, color=colour, mfc=fill, mew=1.5)
        lost = mine[mine.loss > MOST_LOSS]
        ax.plot(
            lost.kb, [0.97] * len(lost), "x", ms=8, mew=2, color=colour, transform=ax.get_xaxis_transform()
        )
        ax.plot([], [], "o", ms=6, color=colour, label=family)
    ax.set(xscale="log", xlabel="kilobytes that a rank sends in a step", ylabel="training loss at the end")
    _plain_x(ax)
    _legend(ax)
    return canvas


def _family(way: str) -> str:
    """The way without its number: "top 1.0%" is of "top-k"."""
    first = way.split()[0]
    return {"top": "top-k", "random": "random-k"}.get(first, first)


def _plain_x(ax: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=8))
    ax.xaxis.set_major_formatter("{x:,.6g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


def _legend(ax: Axes) -> None:
    from ..canvas import style

    with style():
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03))
