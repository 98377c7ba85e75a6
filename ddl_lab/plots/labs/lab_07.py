"""The figures of staleness: how many versions old gradients were when they were applied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...history.history import History
from ..histories.words import clock_of, described, described_together

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 25  # a side of a histogram; what is beyond goes into the last bar


def histogram(runs: Mapping[str, History]) -> Figure:
    """Shares of gradients by staleness: a panel a run, on the same axes; dashed: each run's mean.

    ``runs``: histories by label whose server recorded ``staleness``. The last bar gathers the rarest
    hundredth at the high end, and says so. Raises ``ValueError`` where nobody recorded any.
    """
    found = {label: _recorded(run, label) for label, run in runs.items()}
    if not found:
        raise ValueError("histogram got no run: give at least one, as in {'measured': history}.")
    from ..canvas import COLOURS, INK, Canvas, style

    together = np.concatenate(list(found.values()))
    most = min(max(1, math.ceil(np.quantile(together, 0.99))), MOST_BARS)
    headline = f"staleness: {described_together(list(runs.values()))}"
    canvas = Canvas(max(5.0, 2.6 * len(found)), 3.1, headline)
    axes = canvas.row(len(found), top=0.85)
    for ax, colour, (label, values) in zip(axes, COLOURS, found.items(), strict=False):
        shares = np.bincount(np.minimum(values, most), minlength=most + 1) / len(values)
        ax.bar(np.arange(most + 1), 100 * shares, 0.8, color=colour, zorder=2)
        ax.axvline(values.mean(), color=INK, ls="--", lw=1.3, zorder=3)
        with style():
            ax.set_title(f"{label}\nmean {values.mean():.2f}", loc="left", fontsize=9, color=INK)
        _ticks(ax, most, beyond=bool((together > most).any()), count=12 if len(found) == 1 else 5)
    axes[0].set_ylabel("gradients (%)")
    axes[len(axes) // 2].set_xlabel("staleness: versions between reading and applying")
    return canvas


def over_time(history: History) -> Figure:
    """Each gradient's staleness against the time at which it was applied, a colour for each worker.

    Marks of hands (``Run.slow`` and others) stand at their times. Raises ``ValueError`` where the
    server recorded no ``staleness`` and ``worker``.
    """
    staleness = _recorded(history, "")
    rows = history.metrics.dropna(subset=["staleness"])
    if "worker" not in rows:
        raise ValueError("over_time needs node.record(staleness=…, worker=…) on the server.")
    from matplotlib.ticker import MaxNLocator

    from ..canvas import COLOURS, INK, Canvas, legend_beside

    canvas = Canvas(7.8, 3.2, f"staleness of each gradient: {described(history)}")
    (ax,) = canvas.row(1, right=1.5)
    for place, worker in enumerate(sorted(rows.worker.unique())):
        mine = (rows.worker == worker).to_numpy()
        look: dict[str, Any] = {"color": COLOURS[place % len(COLOURS)], "label": f"rank {int(worker)}"}
        ax.plot(rows.time_s[mine], staleness[mine], "osD^v"[place % 5], ms=4, **look)
    for time_s, rank, what in history.about.get("marks", []):
        ax.axvline(time_s, color=INK, lw=1.2, ls=":")
        ax.annotate(
            f" rank {rank}: {what}", (time_s, 1), xycoords=("data", "axes fraction"), color=INK, va="top"
        )
    ax.set(xlabel=f"seconds ({clock_of(history)})", ylabel="staleness (versions)")
    ax.set_ylim(-0.5, 1.12 * max(1, int(staleness.max())))
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend_beside(ax)
    return canvas


def _recorded(history: History, label: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The staleness of every gradient, in the order in which they were applied."""
    metrics = history.metrics
    values = metrics.staleness.dropna() if "staleness" in metrics else []
    if not len(values):
        of = f" of {label!r}" if label else ""
        raise ValueError(f"the history{of} has no staleness: the server calls node.record(staleness=…).")
    return np.asarray(values, np.int64)


def _ticks(ax: Axes, most: int, beyond: bool, count: int) -> None:
    step = max(1, round(most / count))
    places = [*range(0, most - step + 1, step), most]
    ax.set_xticks(places, [*map(str, places[:-1]), f"{most}{'+' if beyond else ''}"])
