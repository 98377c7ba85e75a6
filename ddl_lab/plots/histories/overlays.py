"""What can be drawn over a timeline: messages as arrows, the critical path, the marks of hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...history.critical import critical_parts, work_of
from ...history.history import History
from ...history.spans import Spans
from .crowd import PATH_Y
from .lanes import WORK, Lanes, add_bars

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .window import Window

CHIP = "#5A5A5A"  # the ground of a mark's words: white on it reads on every page
_INCHES_PER_LETTER = 0.06


def draw_messages(ax: Axes, spans: Spans, window: Window, factor: float) -> None:
    """An arrow from each send's call to the end of its receive."""
    sends, recvs = spans.pairs
    left, right = spans.called_s[sends], spans.end_s[recvs]
    keep = (right > window.start_s) & (left < window.end_s)
    left, right = left[keep] * factor, right[keep] * factor
    here, there = spans.rank[sends[keep]], spans.rank[recvs[keep]]
    look: dict[str, Any] = {"facecolor": "white", "edgecolor": "#222222", "linewidth": 0.5, "zorder": 5}
    shape: dict[str, Any] = {
        "units": "dots",
        "width": 2.2,
        "headwidth": 4,
        "headlength": 5,
        "headaxislength": 5,
    }
    if len(left):
        ax.quiver(
            left, here, right - left, there - here, angles="xy", scale_units="xy", scale=1, **shape, **look
        )


def path_of(history: History, spans: Spans) -> Lanes:
    """The critical path as bars."""
    parts = critical_parts(spans, history.clock, history.finished_s, history.elapsed_s)
    rank, start_s, end_s, work = work_of(spans, parts)
    none = np.zeros(len(rank), dtype=np.int64)
    return Lanes(rank, start_s, end_s, work, none.astype(bool), none)


def path_in_words(path: Lanes, elapsed_s: float) -> str:
    """Which shares of the run are in which work, along its critical path."""
    seconds = np.bincount(path.work, path.end_s - path.start_s, minlength=4)
    names = [*WORK, "between spans"]
    shares = zip(names, seconds / (elapsed_s or 1.0), strict=True)
    return "critical path: " + ", ".join(f"{share:.0%} {name}" for name, share in shares if share >= 0.005)


def draw_path(ax: Axes, path: Lanes, many: bool, factor: float) -> None:
    """The critical path in full colours, with a line where it changes rank; above the shares of many."""
    from ..canvas import INK

    if many:
        _strip(ax, path, factor)
        return
    add_bars(ax, path, factor)
    moved = np.flatnonzero(path.rank[1:] != path.rank[:-1]) + 1
    ax.vlines(
        path.start_s[moved] * factor, path.rank[moved - 1], path.rank[moved], color=INK, lw=1.6, zorder=4
    )


def _strip(ax: Axes, path: Lanes, factor: float) -> None:
    """The path as one bar above the shares of many ranks."""
    low, high = PATH_Y
    for work, colour in enumerate(WORK.values()):
        chosen = path.work == work
        bars = np.stack([path.start_s[chosen], (path.end_s - path.start_s)[chosen]], axis=1) * factor
        ax.broken_barh([tuple(bar) for bar in bars], (low, high - low), facecolors=colour, lw=0, zorder=2)
    ticks = np.linspace(0, 1, 5)
    ax.set_yticks([*ticks, (low + high) / 2], [*(f"{tick:.0%}" for tick in ticks), "critical"])
    ax.set_ylim(0, high + 0.02)


def draw_marks(ax: Axes, history: History, many: bool, window: Window, factor: float) -> list[Any]:
    """The marks of hands (slow, paused, killed), each at its time: in its rank's lane, or across shares.

    Returns what it drew.
    """
    drawn: list[Any] = []
    inches = ax.get_position().width * ax.figure.bbox.width / ax.figure.dpi
    letter = (window.end_s - window.start_s) * factor / inches * _INCHES_PER_LETTER
    lanes: dict[float, list[tuple[float, str]]] = {}
    for time_s, rank, text in sorted(tuple(mark) for mark in history.about.get("marks", ())):
        if window.start_s <= time_s <= window.end_s:
            low, high = (0.0, 1.0) if many else (rank - 0.48, rank + 0.48)
            drawn.append(ax.vlines(time_s * factor, low, high, color=CHIP, lw=2, zorder=6))
            y, words = (0.93, f"rank {rank}: {text}") if many else (float(rank), text)
            lanes.setdefault(y, []).append((time_s * factor, words))
    chip: dict[str, Any] = {"facecolor": CHIP, "edgecolor": "white", "lw": 0.5, "boxstyle": "round,pad=0.25"}
    for y, told in lanes.items():
        for x, words in zip(_side_by_side(told, letter, window.end_s * factor), told, strict=True):
            place: dict[str, Any] = {
                "ha": "left",
                "va": "center",
                "fontsize": 7.5,
                "color": "white",
                "zorder": 7,
            }
            drawn.append(ax.text(x + letter / 2, y, words[1], bbox=chip, **place))
    return drawn


def _side_by_side(told: list[tuple[float, str]], letter: float, right: float) -> list[float]:
    """Where words begin: at their time if there is room, after the ones before and before the end."""
    widths = [letter * (len(words) + 1.5) for _, words in told]
    places, free = [], -np.inf
    for (x, _), width in zip(told, widths, strict=True):
        places.append(max(x, free))
        free = places[-1] + width
    for k in range(len(told) - 1, -1, -1):
        places[k] = min(places[k], right - widths[k])
        right = places[k]
    return places
