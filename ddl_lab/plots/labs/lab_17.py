"""The frameworks beside each other: seconds until all ranks train, and milliseconds a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = {"startup_s": "seconds until all ranks train", "step_ms": "milliseconds a step"}


def beside(recorded: pd.DataFrame, mine: pd.DataFrame, headline: str) -> Figure:
    """A row a framework, both axes logarithmic: rings are recorded, dots the reader's own runs.

    Both tables: by name, with framework, startup_s, step_ms; of ``recorded`` those that ran are drawn, by
    seconds to start, a cross where the script has changed since (``stale``). Raises ``ValueError`` where
    nothing ran.
    """
    ran = recorded[recorded.startup_s.notna()].sort_values("startup_s", ascending=False)
    if ran.empty:
        raise ValueError("beside: no framework of this table has run; `make frameworks` records them.")
    from ..canvas import COLOURS, INK, Canvas, style

    canvas = Canvas(8.6, 1.2 + 0.23 * len(ran), headline)
    axes = canvas.row(2, top=0.62, gridspec_kw={"left": 0.37, "wspace": 0.08})
    places = {name: place for place, name in enumerate(ran.index)}
    for ax, (column, words) in zip(axes, COLUMNS.items(), strict=True):
        fresh, old = ran[~ran.stale], ran[ran.stale]
        ax.plot(fresh[column], [places[n] for n in fresh.index], "o", mfc="none", mew=1.5, color=INK,
                label="recorded")  # fmt: skip
        if len(old):
            ax.plot(
                old[column], [places[n] for n in old.index], "x", color=INK, label="its script has changed"
            )
        yours = mine[mine.index.isin(places)]
        ax.plot(yours[column], [places[n] for n in yours.index], "o", color=COLOURS[1], label="yours")
        ax.set(xscale="log", xlabel=words, ylim=(-0.7, len(ran) - 0.3))
        _plain(ax)
    axes[0].set_yticks(range(len(ran)), ran.framework)
    with style():
        axes[1].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0)
    return canvas


def _plain(ax: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=8))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
