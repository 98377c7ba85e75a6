"""Lanes of a timeline: the spans of each rank as bars, a lane a rank."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ...history.critical import WORK_OF_KIND
from ...history.history import History
from .curves import Array
from .groups import TINTS, tints_of

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
    tint: Array  # of a collective: which kind of group it is of, from 1; 0 where they aren't told apart
    tints: tuple[str, ...] = field(default=(), kw_only=True)  # names of tints 1, 2, …

    def within(self, start_s: float, end_s: float) -> Lanes:
        """The spans that have a part in this window, and a length."""
        keep = (self.end_s > start_s) & (self.start_s < end_s) & (self.end_s > self.start_s)
        return self.only(keep)

    def only(self, chosen: Array) -> Lanes:
        """The chosen spans."""
        columns = (self.rank, self.start_s, self.end_s, self.work, self.behind, self.tint)
        return Lanes(*(column[chosen] for column in columns), tints=self.tints)

    @property
    def crowded(self) -> bool:
        """Whether some rank has more spans than can be told apart."""
        return bool(len(self.rank) and np.bincount(self.rank).max() > CROWDED)


def lanes_of(history: History) -> Lanes:
    """All spans so far, sorted by rank and start."""
    parts = []
    tints, names = tints_of(history.recorders)
    for rank, (recorder, tint) in enumerate(zip(history.recorders, tints, strict=True)):
        rows = recorder.span_array()[: len(tint)]  # it may have grown
        order = np.lexsort((rows["end_s"], rows["start_s"]))
        rows = rows[order]
        work = WORK_OF_KIND[rows["kind"]]
        behind = (work == 1) & _overlapped(rows["start_s"], rows["end_s"])
        parts.append((np.full(len(rows), rank), rows["start_s"], rows["end_s"], work, behind, tint[order]))
    return Lanes(*(np.concatenate(column) for column in zip(*parts, strict=True)), tints=names)


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
        add_bars(ax, shown, factor, alpha=0.28 if faint else 1.0)
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


def add_bars(ax: Axes, lanes: Lanes, factor: float, alpha: float = 1.0) -> None:
    """Draw these spans, a collection of bars for each kind of work, and of group."""
    from matplotlib.collections import PolyCollection

    behind = bool(lanes.behind.any())
    for work, tint, colour, _ in _looks(lanes):
        corners = _corners(lanes.only((lanes.work == work) & (lanes.tint == tint)), factor)
        bars = PolyCollection(list(corners), facecolors=colour, alpha=alpha, lw=0, zorder=2 + behind)
        ax.add_collection(bars, autolim=False)


def _looks(lanes: Lanes) -> list[tuple[int, int, str, str]]:
    """(work, tint, colour, name) of all kinds of bars."""
    found = [(work, 0, colour, name) for work, (name, colour) in enumerate(WORK.items())]
    if not lanes.tints:
        return found
    groups = [(1, place + 1, TINTS[place % len(TINTS)], name) for place, name in enumerate(lanes.tints)]
    return [found[0], (*found[1][:3], "messages"), *groups, found[2]]


def _corners(lanes: Lanes, factor: float) -> Array:
    """The four corners of each span's bar: shape (k, 4, 2)."""
    left, right = lanes.start_s * factor, lanes.end_s * factor
    bottom = lanes.rank + 0.4
    top = lanes.rank + np.where(lanes.behind, 0.1, -0.4)
    x = np.stack([left, left, right, right], axis=1)
    y = np.stack([bottom, top, top, bottom], axis=1)
    return np.stack([x, y], axis=2)


def add_legend(ax: Axes, lanes: Lanes, behind: bool = False) -> None:
    """Name the colours of ``lanes``' kinds of work, above the axes."""
    from matplotlib.patches import Patch

    from ..canvas import style

    note = " (low bar: beside other work)" if behind else ""
    looks = [one for one in _looks(lanes) if ((lanes.work == one[0]) & (lanes.tint == one[1])).any()]
    names = [name + note * (name in ("communicate", "messages")) for *_, name in looks]
    bars = [Patch(facecolor=colour) for _, _, colour, _ in looks]
    with style():
        look = {"handlelength": 1.2, "columnspacing": 1.2, "borderpad": 0.2}
        ax.legend(bars, names, ncols=len(names), loc="lower left", bbox_to_anchor=(0, 1), **look)
