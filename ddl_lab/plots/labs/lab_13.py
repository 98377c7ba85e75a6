"""The figure of tuning: final losses against the learning rate, seeds as a band, a panel a setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LOSS = 1.0  # what lies above stands on the upper edge


def rates(table: pd.DataFrame, headline: str, *, by: str, panels: str = "", unit: str = "") -> Figure:
    """Draw the median loss of each ``by`` against the learning rate, and a band from lowest to highest seed.

    ``table``: rows of ``by``, lr above 0, loss, and ``panels`` where there is more than one panel; ``unit``
    stands behind a panel's name. A ring marks each curve's lowest median. Losses above 1, and those that
    left the numbers, stand on the upper edge. Raises ``ValueError`` for a table without rows.
    """
    if table.empty:
        raise ValueError("rates: the table has no row.")
    from ..canvas import Canvas, legend_beside, plain_ticks

    groups = [("", table)] if not panels else list(table.groupby(panels, sort=False))
    canvas = Canvas(6.8 if len(groups) == 1 else min(9.6, 2.6 + 2.9 * len(groups)), 3.7, headline)
    apart: dict[str, Any] = {"sharey": False, "gridspec_kw": {"wspace": 0.25}}
    axes = canvas.row(len(groups), right=1.95, top=0.75 if panels else 0.5, **apart)
    labels = list(dict.fromkeys(table[by]))
    for ax, (name, rows) in zip(axes, groups, strict=True):
        for number, label in enumerate(labels):
            _curve(ax, rows[rows[by] == label], number, str(label))
        if panels:
            ax.set_title(f"{name:,}{unit}" if isinstance(name, int) else f"{name}{unit}", fontsize=9.5)
        ax.set(xlabel="learning rate", xscale="log", yscale="log")
    axes[0].set_ylabel("training loss at the end")
    for ax in axes:
        ax.set_ylim(top=1.15 * MOST_LOSS)
        plain_ticks(ax)
    legend_beside(axes[-1])
    return canvas


def _curve(ax: Axes, rows: pd.DataFrame, number: int, label: str) -> None:
    from ..canvas import COLOURS

    look: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)]}
    found = rows.groupby("lr").loss.agg(["min", "median", "max"]).clip(upper=MOST_LOSS)
    ax.plot(found.index, found["median"], "o-", ms=3.5, lw=1.6, label=label, **look)
    ax.fill_between(found.index, found["min"], found["max"], alpha=0.18, lw=0, **look)
    if len(found):
        best = found["median"].idxmin()
        ax.plot(best, found["median"][best], "o", ms=10, mfc="none", mew=1.8, **look)
