"""Lanes of a timeline: the spans of each rank as bars, a lane a rank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...history.critical import WORK_OF_KIND
from ...history.history import History
from .curves import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LANES = 32
CROWDED = 120  # spans of one rank, beyond which only the first steps are shown

# Okabe & Ito: they differ in lightness too, so that they stay apart in grey
WORK = {"compute": "#0072B2", "communicate": "#E69F00", "wait": "#CC79A7"}


@dataclass(frozen=True)
class Lanes:
    """The spans of all ranks, one a row: shape (k,) each."""

    rank: Array
    start_s: Array
    end_s: Array
    work: Array  # 0, 1, 2 as in WORK
    behind: Array  # True: a message that moves while its node does something else

    def within(self, start_s: float, end_s: float) -> Lanes:
        """The spans that have a part in this window, and a length."""
        keep = (self.end_s > start_s) & (self.start_s < end_s) & (self.end_s > self.start_s)
        return self.only(keep)

    def only(self, chosen: Array) -> Lanes:
        """The chosen spans."""
        columns = (self.rank, self.start_s, self.end_s, self.work, self.behind)
        return Lanes(*(column[chosen] for column in columns))

    @property
    def crowded(self) -> bool:
        """Whether some rank has more spans than can be told apart."""
        return bool(len(self.rank) and np.bincount(self.rank).max() > CROWDED)


def lanes_of(history: History) -> Lanes:
    """All spans so far, sorted by rank and start."""
    parts = []
    for rank, recorder in enumerate(history.recorders):
        rows = recorder.span_array()
        rows = rows[np.lexsort((rows["end_s"], rows["start_s"]))]
        work = WORK_OF_KIND[rows["kind"]]
        behind = (work == 1) & _overlapped(rows["start_s"], rows["end_s"])
        parts.append((np.full(len(rows), rank), rows["start_s"], rows["end_s"], work, behind))
    return Lanes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _overlapped(start_s: Array, end_s: Array) -> Array:
    """Which spans share time with another one of the same rank; both sorted by start."""
    found = np.zeros(len(start_s), dtype=bool)
    if len(found) > 1:
        latest_end = np.maximum.accumulate(end_s)[:-1]
        found[1:] = start_s[1:] < latest_end - 1e-9
        found[:-1] |= start_s[1:] < end_s[:-1] - 1e-9
    return found


def draw_lanes(ax: Axes, lanes: Lanes, nodes: int, factor: float, faint: bool = False) -> None:
    """Draw all spans, times multiplied by ``factor``, a lane of height 1 around each rank."""
    for behind in (False, True):
        chosen = lanes.only(lanes.behind == behind)
        shown = _side_by_side(chosen) if behind and faint else chosen
        add_bars(ax, shown, shown.behind == behind, factor, alpha=0.28 if faint else 1.0)
    ax.set_ylim(nodes - 0.45, -0.55)
    ranks = range(0, nodes, 1 if nodes <= 16 else 2)
    ax.set_yticks(ranks, [f"rank {rank}" for rank in ranks])
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")


def _side_by_side(lanes: Lanes) -> Lanes:
    """Each span without what earlier ones of its rank cover: faint bars on each other would be dark."""
    if not len(lanes.rank):
        return lanes
    shift = lanes.rank * (lanes.end_s.max() + 1)  # one rank after another on one axis
    start_s, end_s = lanes.start_s + shift, lanes.end_s + shift
    start_s[1:] = np.maximum(start_s[1:], np.maximum.accumulate(end_s)[:-1])
    trimmed = replace(lanes, start_s=start_s - shift)
    return trimmed.only(end_s > start_s)


def add_bars(ax: Axes, lanes: Lanes, chosen: Array, factor: float, alpha: float = 1.0) -> None:
    """Draw the chosen spans, a collection of bars for each kind of work."""
    from matplotlib.collections import PolyCollection

    for work, colour in enumerate(WORK.values()):
        corners = _corners(lanes, chosen & (lanes.work == work), factor)
        behind = bool(chosen.any() and lanes.behind[chosen].any())
        bars = PolyCollection(list(corners), facecolors=colour, alpha=alpha, lw=0, zorder=2 + behind)
        ax.add_collection(bars, autolim=False)


def _corners(lanes: Lanes, chosen: Array, factor: float) -> Array:
    """The four corners of each chosen span's bar: shape (k, 4, 2)."""
    left, right = lanes.start_s[chosen] * factor, lanes.end_s[chosen] * factor
    bottom = lanes.rank[chosen] + 0.4
    top = lanes.rank[chosen] + np.where(lanes.behind[chosen], 0.1, -0.4)
    x = np.stack([left, left, right, right], axis=1)
    y = np.stack([bottom, top, top, bottom], axis=1)
    return np.stack([x, y], axis=2)


def add_legend(ax: Axes, lanes: Lanes, behind: bool = False) -> None:
    """Name the colours of ``lanes``' kinds of work, above the axes."""
    from matplotlib.patches import Patch

    from ..canvas import style

    note = " (low bar: beside other work)" if behind else ""
    kinds = [name for work, name in enumerate(WORK) if (lanes.work == work).any()]
    names = [name + note * (name == "communicate") for name in kinds]
    bars = [Patch(facecolor=WORK[name]) for name in kinds]
    with style():
        ax.legend(
            bars, names, ncols=3, handlelength=1.2, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0.2
        )
