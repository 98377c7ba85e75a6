"""The explorer's timeline: what every rank did in a few steps, cheap to redraw while a run goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...history.history import History
from ..canvas import style
from .curves import Array
from .lanes import WORK
from .overlays import draw_marks
from .raster import raster
from .window import Window, step_ends
from .words import clock_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = 4  # that it shows, of all ranks
SIGHT_S = 5.0  # for so long a mark stays in sight while a run goes on


class Glance:
    """Who computed, communicated and waited in a few steps: a lane a rank, and the marks of hands.

    Of a simulation, and of a real run that came to its end untouched, the first steps, so that both can be
    compared; of a real run that goes on or was cut short the newest ones; else those around the newest mark.
    """

    def __init__(self, ax: Axes) -> None:
        from matplotlib.colors import to_rgba_array
        from matplotlib.ticker import MaxNLocator

        self._ax = ax
        self._colours = (to_rgba_array(list(WORK.values())) * 255).round().astype(np.uint8)
        image: Any = np.zeros((1, 1, 4), dtype=np.uint8)
        self._image = ax.imshow(image, aspect="auto", interpolation="nearest", zorder=2)
        self._marks: list[Any] = []
        self._named: list[str] = []  # what the legend names
        self._shown: tuple[Any, Any] = (None, None)  # the records, and the window that is complete
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.set_ylabel("rank")

    def draw(self, history: History) -> bool:
        """Show these steps of ``history``, or as much of them as is recorded; whether that is new."""
        window, complete = part_of(history)
        if history.recorders is self._shown[0] and window == self._shown[1]:
            return False
        self._shown = (history.recorders, window if complete else None)
        if window.end_s <= window.start_s:
            return False
        factor, unit = window.unit
        pixels, ranks = raster(history, window.start_s, window.end_s, self._colours)
        self._image.set_data(pixels)
        self._name_works(pixels)
        left, right = window.start_s * factor, window.end_s * factor
        self._image.set_extent((left, right, len(ranks) - 0.5, -0.5))
        stride = -(-len(ranks) // 8)
        self._ax.set_yticks(range(0, len(ranks), stride), [str(rank) for rank in ranks[::stride]])
        self._ax.set_xlabel(f"{unit}, {window.words} ({clock_of(history)})")
        for mark in self._marks:
            mark.remove()
        self._marks = draw_marks(self._ax, history, False, window, factor)
        self._ax.set(xlim=(left, right), ylim=(len(ranks) - 0.5, -0.5))
        return True

    def _name_works(self, pixels: Array) -> None:
        """A legend of the kinds of work that occur in the picture, above the axes."""
        from matplotlib.patches import Patch

        there = np.isin(self._colours.view(np.uint32)[:, 0], pixels.view(np.uint32))
        works = [work for work, occurs in zip(WORK, there, strict=True) if occurs]
        if works == self._named:
            return
        self._named = works
        with style():
            bars = [Patch(facecolor=WORK[work]) for work in works]
            place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 0.98)}
            self._ax.legend(bars, works, ncols=3, handlelength=1.0, columnspacing=1.2, fontsize=8.5, **place)


def part_of(history: History) -> tuple[Window, bool]:
    """Which part of a run to show, and whether nothing more will happen in it."""
    ends, now_s, steps = step_ends(history), history.elapsed_s, steps_of(history)
    marks = [time_s for time_s, *_ in history.about.get("marks", ())]
    if history.clock != "virtual" and len(history.finished_s) < history.nodes:
        start, now_s = ends[-steps - 1] if len(ends) > steps else 0.0, max([now_s, *marks])
        if marks and start > max(marks) > now_s - SIGHT_S:
            return Window(max(0.0, 1.1 * max(marks) - 0.1 * now_s), now_s, "since the newest mark"), False
        return Window(start, now_s, f"newest {steps} steps"), False
    if marks:
        step = int(np.searchsorted(ends, max(marks)))
        start = ends[step - steps // 2 - 1] if step > steps // 2 else 0.0
        end = ends[step + steps // 2 - 1] if step + steps // 2 <= len(ends) else now_s
        return Window(start, end, "around the newest mark"), True
    end_s = end_of_step(history, steps - 1)
    what = f"first {steps} steps" if end_s else "from the start"
    return Window(0.0, end_s or now_s, what), bool(end_s)


def steps_of(history: History) -> int:
    """How many steps to show: more where few ranks record, as a server does for each worker in turn."""
    recording = sum(recorder.steps > 0 for recorder in history.recorders)
    return STEPS * -(-history.nodes // max(1, recording))


def end_of_step(history: History, step: int) -> float | None:
    """When the last rank recorded ``step``; None where one has not, and where ranks record nothing.

    A rank that records nothing by its end is left out, once all have ended.
    """
    ends, over = [], len(history.finished_s) == history.nodes
    for recorder in history.recorders:
        if over and not recorder.steps:
            continue
        times: list[Any] = [rows["time_s"][rows["step"] == step] for rows in recorder.row_arrays().values()]
        found = np.concatenate(times) if times else np.empty(0)
        if not len(found):
            return None
        ends.append(float(found.max()))
    return max(ends, default=None)
