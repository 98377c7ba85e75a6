"""The timeline: who computed, communicated and waited, when; one lane a rank."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..history import History
from ..recorder import KINDS
from .curves import Array
from .words import clock_of, described

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LANES = 32
CROWDED = 120  # spans of one rank, beyond which only the first steps are shown
FIRST_STEPS = 10

# Okabe & Ito: they differ in lightness too, so that they stay apart in grey
WORK = {"compute": "#0072B2", "communicate": "#E69F00", "wait": "#CC79A7"}
_WORK_OF_KIND = np.array([{"compute": 0, "wait": 2}.get(kind, 1) for kind in KINDS])
_UNITS = ((2e-3, 1e6, "microseconds"), (2.0, 1e3, "milliseconds"), (np.inf, 1.0, "seconds"))


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
        columns = (self.rank, self.start_s, self.end_s, self.work, self.behind)
        return Lanes(*(column[keep] for column in columns))


def timeline(history: History, *, seconds: Any = None, steps: Any = None) -> Figure:
    """Who computed, communicated and waited, when: one lane a rank, for up to 32 ranks.

    ``steps`` or ``seconds``: what to show, an end or (start, end): ``steps=10``,
    ``seconds=(0.2, 0.3)``. Unless told, all, or the first ten steps of a long run. A message that
    moves while its node does something else lies in the lower part of its lane.
    Raises ``ValueError`` for more ranks, a bad window, and a history without spans.
    """
    _check_window(seconds, steps)
    if history.nodes > MOST_LANES:
        raise ValueError(
            f"timeline has lanes for {MOST_LANES} ranks, and this history has {history.nodes}: "
            "simulate fewer nodes to look at them."
        )
    lanes = lanes_of(history)
    if not len(lanes.rank):
        raise ValueError(
            "this history has no spans: put the worker's arithmetic under `with node.compute(samples=…):`."
        )
    start_s, end_s, part = _window(history, lanes, seconds, steps)
    from .canvas import Canvas

    headline = f"timeline: {described(history)}{part and ', '}{part}"
    lane = 0.28 if history.nodes <= 16 else 0.2
    canvas = Canvas(7.6, 1.3 + lane * max(history.nodes, 2), headline)
    (ax,) = canvas.row(1, top=0.68)
    factor, unit = next((f, name) for limit, f, name in _UNITS if end_s - start_s < limit)
    _draw(ax, lanes.within(start_s, end_s), history.nodes, factor)
    ax.set_xlim(start_s * factor, end_s * factor)
    ax.set_xlabel(f"{unit} ({clock_of(history)})")
    return canvas


def lanes_of(history: History) -> Lanes:
    """All spans so far, sorted by rank and start."""
    parts = []
    for rank, recorder in enumerate(history.recorders):
        rows = recorder.span_array()
        rows = rows[np.lexsort((rows["end_s"], rows["start_s"]))]
        work = _WORK_OF_KIND[rows["kind"]]
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


def _check_window(seconds: Any, steps: Any) -> None:
    """Refuse what is no window: ``seconds`` and ``steps`` are an end, or a start and an end."""
    if seconds is not None and steps is not None:
        raise ValueError("timeline takes seconds or steps, not both: drop one.")
    for name, value in (("seconds", seconds), ("steps", steps)):
        if value is None:
            continue
        start, end = _pair(value)
        kind = numbers.Integral if name == "steps" else numbers.Real
        fits = isinstance(start, kind) and isinstance(end, kind)
        if not fits or not 0 <= start < end:
            example = "10 or (20, 30)" if name == "steps" else "0.1 or (0.2, 0.3)"
            raise ValueError(
                f"timeline({name}={value!r}): give an end, or a start and a later end, as in {example}."
            )


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, Sequence) and len(value) == 2:
        return value[0], value[1]
    return 0, value


def _window(history: History, lanes: Lanes, seconds: Any, steps: Any) -> tuple[float, float, str]:
    """Start and end in seconds, and what to call it where it is not the whole run."""
    if seconds is not None:
        start, end = _pair(seconds)
        return float(start), float(end), f"from {start:g} to {end:g} s"
    ends = _step_ends(history)
    if steps is None:
        crowded = bool(np.bincount(lanes.rank).max() > CROWDED)
        if not crowded or len(ends) <= FIRST_STEPS:
            return 0.0, history.elapsed_s or 1e-6, ""
        steps = FIRST_STEPS
    start, end = _pair(steps)
    if start >= len(ends):
        raise ValueError(f"timeline(steps={steps!r}): this history has {len(ends)} steps.")
    end = min(end, len(ends))
    which = f"steps {start} to {end - 1}" if start else f"first {end}"
    return (ends[start - 1] if start else 0.0), ends[end - 1], f"{which} of {len(ends)} steps"


def _step_ends(history: History) -> list[float]:
    """By step: when the last rank recorded it."""
    ends: dict[int, float] = {}
    for recorder in history.recorders:
        for rows in recorder.row_arrays().values():
            for step, time_s in zip(rows["step"].tolist(), rows["time_s"].tolist(), strict=True):
                ends[step] = max(time_s, ends.get(step, 0.0))
    return list(np.maximum.accumulate([ends[step] for step in sorted(ends)])) if ends else []


def _draw(ax: Axes, lanes: Lanes, nodes: int, factor: float) -> None:
    """Draw all spans, times multiplied by ``factor``, a lane of height 1 around each rank."""
    from matplotlib.collections import PolyCollection

    for work, colour in enumerate(WORK.values()):
        for behind in (False, True):
            bars = _corners(lanes, (lanes.work == work) & (lanes.behind == behind), factor)
            ax.add_collection(PolyCollection(list(bars), facecolors=colour, lw=0, zorder=2 + behind))
    ax.set_ylim(nodes - 0.45, -0.55)
    ranks = range(0, nodes, 1 if nodes <= 16 else 2)
    ax.set_yticks(ranks, [f"rank {rank}" for rank in ranks])
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    _legend(ax, bool(lanes.behind.any()))


def _corners(lanes: Lanes, chosen: Array, factor: float) -> Array:
    """The four corners of each chosen span's bar: shape (k, 4, 2)."""
    left, right = lanes.start_s[chosen] * factor, lanes.end_s[chosen] * factor
    bottom = lanes.rank[chosen] + 0.4
    top = lanes.rank[chosen] + np.where(lanes.behind[chosen], 0.1, -0.4)
    x = np.stack([left, left, right, right], axis=1)
    y = np.stack([bottom, top, top, bottom], axis=1)
    return np.stack([x, y], axis=2)


def _legend(ax: Axes, behind: bool) -> None:
    from matplotlib.patches import Patch

    from .canvas import style

    note = " (low bar: beside other work)" if behind else ""
    names = [name + note * (name == "communicate") for name in WORK]
    bars = [Patch(facecolor=colour) for colour in WORK.values()]
    with style():
        ax.legend(bars, names, ncols=3, handlelength=1.2, loc="lower left", bbox_to_anchor=(0, 1))
