"""The figures of staleness: how many versions old gradients were when they were applied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..history.history import History
from .words import clock_of, described, described_together

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 25  # a side of a histogram; what is beyond goes into the last bar


def histogram(runs: Mapping[str, History], headline: str = "") -> Figure:
    """Shares of gradients by staleness, bars side by side, one colour a run; dashed: each run's mean.

    ``runs``: histories by label whose server recorded ``staleness``. The last bar gathers the rarest
    hundredth at the high end, and says so. Raises ``ValueError`` where nobody recorded any.
    """
    found = {label: _recorded(run, label) for label, run in runs.items()}
    if not found:
        raise ValueError("histogram got no run: give at least one, as in {'measured': history}.")
    from .canvas import COLOURS, Canvas

    together = np.concatenate(list(found.values()))
    most = min(max(1, math.ceil(np.quantile(together, 0.99))), MOST_BARS)
    told = headline or f"staleness: {described_together(list(runs.values()))}"
    canvas = Canvas(7.8, 3.2, told)
    (ax,) = canvas.row(1, right=2.2)
    width = 0.84 / len(found)
    for place, (label, values) in enumerate(found.items()):
        shares = np.bincount(np.minimum(values, most), minlength=most + 1) / len(values)
        x = np.arange(most + 1) + (place - (len(found) - 1) / 2) * width
        colour = COLOURS[place % len(COLOURS)]
        name = f"{label}\n(mean {values.mean():.2f})"
        ax.bar(x, 100 * shares, width, color=colour, label=name)
        ax.axvline(values.mean(), color=colour, ls=(3 * place, (3, 3)), lw=1.3, zorder=3)  # interleaved
    ax.set(xlabel="staleness: versions between reading and applying", ylabel="gradients (%)")
    _ticks(ax, most, beyond=bool((together > most).any()))
    _legend(ax)
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
    from .canvas import COLOURS, INK, Canvas

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
    _legend(ax)
    return canvas


def _recorded(history: History, label: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The staleness of every gradient, in the order in which they were applied."""
    metrics = history.metrics
    values = metrics.staleness.dropna() if "staleness" in metrics else []
    if not len(values):
        of = f" of {label!r}" if label else ""
        raise ValueError(f"the history{of} has no staleness: the server calls node.record(staleness=…).")
    return np.asarray(values, np.int64)


def _ticks(ax: Axes, most: int, beyond: bool) -> None:
    step = max(1, round(most / 12))
    places = [*range(0, most - step + 1, step), most]
    ax.set_xticks(places, [*map(str, places[:-1]), f"{most}{'+' if beyond else ''}"])


def _legend(ax: Axes) -> None:
    from .canvas import style

    with style():
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03))
