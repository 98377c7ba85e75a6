"""The figure of pipeline schedules: a lane a node, a numbered box for each forward and backward."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Box(Protocol):
    """A forward, a backward or a part of one, and when: ``strategies.playing.Span`` is one."""

    @property
    def rank(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def stage(self) -> int: ...
    @property
    def micro(self) -> int: ...
    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...


class Timed(Protocol):
    """A schedule with its times: ``strategies.playing.Played`` is one."""

    @property
    def nodes(self) -> int: ...
    @property
    def spans(self) -> Sequence[Any]: ...
    @property
    def elapsed_s(self) -> float: ...
    @property
    def bubble(self) -> float: ...


COLOURS = {"forward": "#0072B2", "backward": "#D55E00", "input": "#8A4B00", "weights": "#E69F00"}
LATER = {"forward": "#8CC4E5", "backward": "#F2B183"}  # of a node's second stage, and all after it
NAMES = {"input": "backward, by the input", "weights": "backward, by the weights"}
DIGITS = ("#ffffff", "#1a1a1a")  # on the dark and on the pale ones
WIDTH, LANE, HEAD, FOOT, BETWEEN = 8.6, 0.27, 0.64, 0.52, 0.46  # inches
ROW = 0.26  # inches, of a legend under the headline
BESIDE = 2.3  # inches, of a legend of two kinds beside it
LEGIBLE, GAP = 0.075, 0.012  # inches: a digit, and what is left free between two boxes


def schedules(
    panels: Mapping[str, Timed],
    headline: str,
    *,
    kept: Mapping[str, Sequence[float]] | None = None,
    unit: str = "s",
) -> Figure:
    """Draw schedules below each other on one time axis; boxes carry the numbers of their micro-batches.

    ``panels``: by name, what ``playing.play`` or ``playing.measured`` returned. Where a node has several
    stages, the second and later ones are paler. ``kept``: by the same names, bytes a node, as bars on the
    right. ``unit``: what a second is called. Raises ``ValueError`` where there is nothing to draw.
    """
    if not panels or not all(timed.spans for timed in panels.values()):
        raise ValueError("schedules got nothing to draw: give {name: play(schedule)}.")
    from ..canvas import LETTERS_PER_INCH, Canvas, style

    nodes = [timed.nodes for timed in panels.values()]
    kinds = _kinds(panels.values())
    full = len(kinds) > 2 or len(headline) > (WIDTH - BESIDE) * LETTERS_PER_INCH
    below = ROW if full else 0.0  # the legend has a line of its own, under the headline
    height = below + HEAD + FOOT + sum(nodes) * LANE + BETWEEN * (len(nodes) - 1)
    canvas = Canvas(WIDTH, height, headline)
    longest = max(timed.elapsed_s for timed in panels.values())
    most = max((max(values) for values in kept.values()), default=0) if kept else 0
    top = below + HEAD + 0.17 * canvas.more_lines
    for number, (name, timed) in enumerate(panels.items()):
        tall, bottom = timed.nodes * LANE, top + timed.nodes * LANE
        right = WIDTH - (2.1 if kept else 0.25)
        with style():
            ax = canvas.add_axes(_place(0.75, right, bottom, tall, height))
        _lanes(ax, timed, longest, (right - 0.75) / longest)
        _label(ax, f"{name}: {timed.elapsed_s:.4g} {unit}, bubble {timed.bubble:.1%} of it")
        last = number == len(panels) - 1
        ax.tick_params(labelbottom=last)
        ax.set_xlabel(f"time ({unit})" if last else "")
        if kept:
            with style():
                side = canvas.add_axes(_place(right + 0.25, WIDTH - 0.55, bottom, tall, height))
            _bars(side, kept[name], most, last)
        top = bottom + BETWEEN
    _legend(canvas, height - below, height, kinds)
    return canvas


def _place(left: float, right: float, bottom: float, tall: float, height: float) -> Any:
    """Axes in shares of the figure, from inches (``bottom`` below its top edge)."""
    return (left / WIDTH, 1 - bottom / height, (right - left) / WIDTH, tall / height)


def _label(ax: Axes, text: str) -> None:
    from ..canvas import INK

    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    ax.annotate(text, (0, 1), (0, 4), fontsize=9, color=INK, **place)


def _lanes(ax: Axes, timed: Timed, longest: float, inches_per_s: float) -> None:
    gap_s = GAP / inches_per_s
    lasts = [end_s - span.start_s for span, end_s in _apart(timed.spans)]
    look: dict[str, Any] = {"left": [span.start_s for span in timed.spans], "linewidth": 0}
    look["color"] = [_colour(span, timed) for span in timed.spans]
    widths = [max(0.8 * wide, wide - gap_s) for wide in lasts]
    ax.barh([span.rank for span in timed.spans], widths, 0.84, **look)
    digits = len(str(max(span.micro for span in timed.spans)))
    for span, wide in zip(timed.spans, lasts, strict=True):
        room = wide * inches_per_s / digits
        if room >= LEGIBLE:
            middle = (span.start_s + (wide - gap_s) / 2, span.rank)
            size = 7.5 if room > 1.4 * LEGIBLE else 6
            pale = _later(span, timed) or span.kind == "weights"
            text: dict[str, Any] = {"ha": "center", "va": "center", "color": DIGITS[pale]}
            ax.annotate(str(span.micro), middle, fontsize=size, **text)
    ax.set_xlim(0, longest * 1.005)
    ax.set_ylim(timed.nodes - 0.5, -0.5)
    ax.set_yticks(range(timed.nodes), [f"node {rank}" for rank in range(timed.nodes)])
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")


def _colour(span: Box, timed: Timed) -> str:
    return (LATER if _later(span, timed) and span.kind in LATER else COLOURS)[span.kind]


def _later(span: Box, timed: Timed) -> bool:
    """Whether it is of a node's second stage, or of one after that."""
    return span.stage >= timed.nodes


def _apart(spans: Sequence[Box]) -> Iterator[tuple[Box, float]]:
    """Each span with its end, or with the start of the next one on its node where that came earlier.

    Spans of a run are as wide as they were charged, and one that ended late reaches into the next.
    """
    for place, span in enumerate(spans, start=1):
        after = [following.start_s for following in spans[place : place + 1] if following.rank == span.rank]
        yield span, min([span.end_s, *after])


def _bars(ax: Axes, values: Sequence[float], most: float, last: bool) -> None:
    """Bytes a node, in kB."""
    from ..canvas import INK

    ax.barh(range(len(values)), [value / 1e3 for value in values], 0.6, color="#009E73")
    for rank, value in enumerate(values):
        ax.annotate(f"{value / 1e3:.0f}", (value / 1e3, rank), (3, 0), textcoords="offset points",
                    va="center", fontsize=8, color=INK)  # fmt: skip
    ax.set_xlim(0, most / 1e3 * 1.05 or 1)
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.set_yticks([])
    ax.grid(visible=False, axis="y")
    ax.tick_params(labelbottom=last)
    ax.set_xlabel("activations (kB)" if last else "")


def _kinds(panels: Iterable[Timed]) -> dict[str, str]:
    """Names and colours of the kinds of boxes that occur; those of later stages after the others."""
    there = {
        (_later(span, timed), span.kind): _colour(span, timed) for timed in panels for span in timed.spans
    }
    order = [(later, kind) for later in (False, True) for kind in COLOURS if (later, kind) in there]
    return {
        NAMES.get(kind, kind) + ", a node's second stage" * later: there[later, kind] for later, kind in order
    }


def _legend(canvas: Any, level: float, height: float, kinds: Mapping[str, str]) -> None:
    """Beside the headline, which begins ``level`` inches above the bottom, or right under it."""
    from matplotlib.patches import Patch

    from ..canvas import style

    below = 0.08 + 0.17 * canvas.more_lines
    with style():
        canvas.legend(
            [Patch(facecolor=colour) for colour in kinds.values()],
            list(kinds),
            ncols=len(kinds),
            columnspacing=1.2,
            handlelength=1.2,
            loc="upper right",
            bbox_to_anchor=(1 - 0.2 / WIDTH, (level - below) / height),
            borderaxespad=0,
        )
