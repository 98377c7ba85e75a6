"""The explorer's figure: a metric against time and steps, speed-ups, and the first steps' timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..history.history import History
from .canvas import COLOURS, INK, Canvas, encoded, style
from .curves import Curve
from .lanes import WORK
from .metrics import CurveFigure
from .raster import WORKS, end_of_step, raster
from .window import Window
from .words import clock_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 7.6
UPPER, LOWER = 3.1, 2.3  # inches that the two rows are high
FIRST_STEPS = 4


@dataclass(frozen=True)
class Line:
    """One setting in the figure."""

    label: str
    nodes: int
    curve: Curve
    speedup: float | None = None  # times one node's samples/s; None: not known
    measured: bool = False  # on real processes, not simulated
    colour: str = COLOURS[0]


class ExploredFigure:
    """Two rows of two axes, whose artists are kept from one redraw to the next.

    Each row is a canvas of its own: while a curve grows, the lower one is drawn once.
    """

    def __init__(self, metric: str, history: History) -> None:
        self._upper, self._lower = Canvas(WIDTH, UPPER, ""), Canvas(WIDTH, LOWER, "")
        self.curves = CurveFigure(self._upper, metric, clock_of(history))
        columns = {"wspace": 0.42, "width_ratios": [1, 1.9]}
        left, right = self._lower.row(2, top=0.3, bottom=0.5, sharey=False, gridspec_kw=columns)
        self.ratios, self.first_steps = Ratios(left), FirstSteps(right)
        self._lower_pixels: Any = None  # as they were drawn last

    def __repr__(self) -> str:
        return repr(self._upper)

    def draw(
        self, headline: str, clock: str, front: str, lines: Sequence[Line], history: History | None
    ) -> None:
        """Show these lines, ``front``'s in full and the others faint, and ``history``'s first steps.

        Without a history the lower row stays as it is.
        """
        self._upper.head(headline)
        self.curves.name_clock(clock)
        for gone in set(self.curves.labels) - {line.label for line in lines}:
            self.curves.drop(gone)
        for line in lines:
            faint = line.label != front and not line.measured
            self.curves.draw(line.label, line.curve, line.colour, faint, dashed=line.measured)
        self.curves.arrange(line.label for line in lines)
        if history is not None:
            changed = [self.ratios.draw(front, lines), self.first_steps.draw(history)]
            self._lower_pixels = None if any(changed) else self._lower_pixels

    def png(self, quick: bool = False) -> bytes:
        """The picture; ``quick``: see ``canvas.encoded``."""
        if self._lower_pixels is None:
            self._lower_pixels = self._lower.pixels()
        return encoded(np.concatenate([self._upper.pixels(), self._lower_pixels]), quick)

    @property
    def shown_size(self) -> dict[str, int]:
        """Width and height on a page, in pixels."""
        upper, lower = self._upper.shown_size, self._lower.shown_size
        return upper | {"height": upper["height"] + lower["height"]}


class Ratios:
    """Speed-up against the number of nodes, beside the ideal line; both axes in factors of two."""

    def __init__(self, ax: Axes) -> None:
        self._ax = ax
        self._state: Any = None  # what is drawn
        (self._ideal,) = ax.plot([], [], color=INK, linestyle="--", linewidth=1.2)
        self._dots = ax.scatter([], [], zorder=3)
        self._word = ax.annotate(
            "", (0, 0), xytext=(6, -3), textcoords="offset points", color=INK, fontsize=8.5
        )
        ax.set_xlabel("nodes")
        ax.set_ylabel("times one node")
        ax.set_title("speed-up (dashed: ideal)", loc="left", x=-0.02, color=INK, fontsize=8.5)

    def draw(self, front: str, lines: Iterable[Line]) -> bool:
        """A dot for each line whose speed-up is known, the front one larger and with its number.

        Returns whether that is another picture than the last one.
        """
        known = [line for line in lines if line.speedup]
        state = (front, [(line.label, line.nodes, line.speedup, line.colour) for line in known])
        if state == self._state:
            return False
        self._state = state
        places = [(np.log2(line.nodes), np.log2(line.speedup or 1)) for line in known]
        self._dots.set_offsets(np.array(places).reshape(-1, 2))
        self._dots.set_facecolor([line.colour for line in known])
        self._dots.set_sizes([52 if line.label == front else 24 for line in known])
        self._word.set_text("")
        for line, place in zip(known, places, strict=True):
            if line.label == front:
                self._word.xy = place
                self._word.set_text(f"{line.speedup:.3g}")
        self._fit(places)
        return True

    def _fit(self, places: Sequence[tuple[float, float]]) -> None:
        right = max([3.0, *(np.ceil(x) for x, _ in places)])
        low = min([0.0, *(np.floor(y) for _, y in places)])
        self._ideal.set_data([0, right], [0, right])
        self._ax.set_xlim(-0.25, right + 0.6)
        self._ax.set_ylim(low - 0.35, right + 0.35)
        self._ax.set_xticks(*_powers(0, right))
        self._ax.set_yticks(*_powers(low, right))


def _powers(low: float, high: float) -> tuple[list[int], list[str]]:
    """Up to seven powers of two as places, and how they read."""
    stride = int(-(-(high - low + 1) // 7))
    places = list(range(int(low), int(high) + 1, stride))
    return places, [f"{2.0**place:.3g}" for place in places]


class FirstSteps:
    """Who computed, communicated and waited in the first steps: a lane a rank."""

    def __init__(self, ax: Axes) -> None:
        from matplotlib.colors import to_rgba_array
        from matplotlib.patches import Patch
        from matplotlib.ticker import MaxNLocator

        self._ax = ax
        self._colours = (to_rgba_array([WORK[work] for work in WORKS]) * 255).round().astype(np.uint8)
        image: Any = np.zeros((1, 1, 4), dtype=np.uint8)
        self._image = ax.imshow(image, aspect="auto", interpolation="nearest", zorder=2)
        self._whole: Any = None  # the records whose first steps are complete in the image
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.set_ylabel("rank")
        with style():
            bars = [Patch(facecolor=WORK[work]) for work in WORKS]
            place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 0.98)}
            ax.legend(bars, WORKS, ncols=3, handlelength=1.0, columnspacing=1.2, fontsize=8.5, **place)

    def draw(self, history: History) -> bool:
        """Show the first steps of ``history``, or as much of them as is recorded; whether that is new."""
        if history.recorders is self._whole:
            return False
        end_s = end_of_step(history, FIRST_STEPS - 1)
        self._whole = history.recorders if end_s else None
        what = f"first {FIRST_STEPS} steps" if end_s else "from the start"
        end_s = end_s or history.elapsed_s
        if not end_s:
            return False
        factor, unit = Window(0.0, end_s).unit
        pixels, ranks = raster(history, end_s, self._colours)
        self._image.set_data(pixels)
        self._image.set_extent((0, end_s * factor, len(ranks) - 0.5, -0.5))
        stride = -(-len(ranks) // 8)
        self._ax.set_yticks(range(0, len(ranks), stride), [str(rank) for rank in ranks[::stride]])
        self._ax.set_xlabel(f"{unit}, {what} ({clock_of(history)})")
        return True
