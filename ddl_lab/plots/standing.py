"""The figure of what a learner has done: exercises by lab, and how near the predictions came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATES = ("right", "tried", "open")


class Mark(NamedTuple):
    """One exercise: its lab's number, a state of ``STATES``, difficulty 1 to 3, minutes."""

    lab: str
    state: str
    difficulty: int
    minutes: int


def standing(marks: Sequence[Mark], dots: Mapping[str, Sequence[float]], headline: str) -> Figure:
    """Draw each exercise as a bar as long as its minutes, and each prediction as a dot at its ratio.

    ``dots``: measured / predicted of each lab's predictions, all above 0. A row for each lab, the
    lowest number on top. Where there are predictions, a bar on the right says by what factor a lab's
    were off, in the median: bars that get shorter downwards are predictions that got better.
    """
    from .canvas import Canvas

    labs = sorted({mark.lab for mark in marks} | set(dots))
    canvas = Canvas(7.6, 1.3 + 0.27 * max(len(labs), 2), headline)
    if any(dots.values()):
        left, right, far = canvas.row(3, top=0.68, gridspec_kw={"width_ratios": (10, 9, 5)})
        _how_far_off(far, dots, labs)
    else:
        left, right = canvas.row(2, top=0.68)
    _exercises(left, marks, labs)
    _predictions(right, dots, labs)
    left.set_yticks(range(len(labs)), [f"lab {lab}" for lab in labs])
    left.set_ylim(max(len(labs), 2) - 0.4, -0.6)
    return canvas


def _exercises(ax: Axes, marks: Sequence[Mark], labs: Sequence[str]) -> None:
    from .canvas import COLOURS, INK, style

    faces = dict(zip(STATES, (COLOURS[2], COLOURS[4], "none"), strict=True))
    ends_min = dict.fromkeys(labs, 0)
    for mark in marks:
        start_min, row = ends_min[mark.lab], labs.index(mark.lab)
        box: dict[str, Any] = {"color": faces[mark.state], "edgecolor": INK, "zorder": 2}
        ax.barh(row, mark.minutes - 0.4, 0.62, start_min, **box)
        digit: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "zorder": 3}
        colour = INK if mark.state == "open" else "black"
        ax.text(start_min + mark.minutes / 2 - 0.2, row, str(mark.difficulty), color=colour, **digit)
        ends_min[mark.lab] += mark.minutes
    there = [state for state in STATES if any(mark.state == state for mark in marks)]
    for state in there:
        ax.barh(0, 0, color=faces[state], edgecolor=INK, label=state)
    if there:
        with style():
            ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=3, fontsize=8.5, borderpad=0)
    ax.set_xlabel("minutes; the digit is the difficulty, 1 to 3")
    ax.grid(visible=False, axis="y")


def _predictions(ax: Axes, dots: Mapping[str, Sequence[float]], labs: Sequence[str]) -> None:
    from .canvas import COLOURS, INK

    for lab, values in dots.items():
        ax.plot(values, [labs.index(lab)] * len(values), "o", color=COLOURS[0], alpha=0.7, ms=6)
    ax.tick_params(left=False)
    ax.axvline(1, color=INK, lw=1.2, ls="--")
    widest = max([10, *(max(value, 1 / value) for values in dots.values() for value in values)])
    ax.set_xscale("log")
    ax.set_xlim(1 / widest / 1.5, widest * 1.5)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("measured / predicted; dashed: right")
    ax.grid(visible=False, axis="y")


def _how_far_off(ax: Axes, dots: Mapping[str, Sequence[float]], labs: Sequence[str]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    from .canvas import COLOURS, INK

    off = {lab: median(max(dot, 1 / dot) for dot in values) for lab, values in dots.items() if values}
    for lab, factor in off.items():
        row = labs.index(lab)
        ax.plot([1, factor], [row, row], color=COLOURS[1], lw=3, solid_capstyle="butt")
        ax.plot(factor, row, "o", color=COLOURS[1], ms=5)
    ax.tick_params(left=False)
    ax.axvline(1, color=INK, lw=1.2, ls="--")
    ax.set_xscale("log")
    ax.set_xlim(0.93, max(2.2, *off.values()) * 1.15)
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if max(off.values()) < 50 else (1.0,)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("off by (median)")
    ax.grid(visible=False, axis="y")
