"""The explorer's figure: a metric against time and steps, speed-ups, and the first steps' timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...history.history import History
from ..canvas import COLOURS, INK, SHOWN_DPI, Canvas, encoded
from .curves import Curve
from .glance import Glance
from .layers import Layers
from .metrics import CurveFigure
from .words import clock_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 7.6
UPPER, MORE, LOWER = 3.1, 2.4, 2.3  # inches that the rows are high
LEFT = 3.05  # inches of the lower row that the speed-ups have


@dataclass(frozen=True)
class Line:
    """One setting in the figure."""

    label: str
    nodes: int
    curve: Curve
    speedup: float | None = None  # times one node's samples/s; None: not known
    measured: bool = False  # on real processes, not simulated
    colour: str = COLOURS[0]
    more: Mapping[str, Curve] = field(default_factory=dict)  # of further metrics, by name


class ExploredFigure:
    """Two rows of two axes, whose artists are kept from one redraw to the next; a row for each metric more.

    What did not change is not drawn again: each row is a canvas of its own, and so are both parts of the
    lowest; a curve that grows is drawn over the picture of all the rest.
    """

    def __init__(self, metric: str, history: History, more: Sequence[str] = ()) -> None:
        rows = {metric: Canvas(WIDTH, UPPER, "")} | {name: Canvas(WIDTH, MORE, name) for name in more}
        self._upper = rows[metric]
        self._rows = {name: Layers(canvas) for name, canvas in rows.items()}
        clock = clock_of(history)
        curves = {name: CurveFigure(canvas, name, clock, moves=True) for name, canvas in rows.items()}
        self.curves, self.more = curves[metric], {name: curves[name] for name in more}
        left, right = Canvas(LEFT, LOWER, ""), Canvas(WIDTH - LEFT, LOWER, "")
        self.ratios = Ratios(*left.row(1, top=0.3, right=0.4, bottom=0.5))
        self.first_steps = Glance(*right.row(1, top=0.3, bottom=0.5))
        self._left, self._right = Layers(left), Layers(right)
        self._timelines = 0  # drawn so far

    def __repr__(self) -> str:
        return repr(self._upper)

    def draw(
        self,
        headline: str,
        clock: str,
        front: str,
        lines: Sequence[Line],
        history: History | None,
        exact: bool = True,
    ) -> None:
        """Show these lines, ``front``'s in full and the others faint, and ``history``'s timeline.

        Without a history the lower row stays as it is. ``exact``: see ``CurveFigure.arrange``.
        """
        self._upper.head(headline)
        _draw_curves(self.curves, clock, front, [(line, line.curve) for line in lines], exact)
        for name, curves in self.more.items():
            known = [(line, line.more[name]) for line in lines if name in line.more]
            _draw_curves(curves, clock, front, known, exact)
        if history is not None:
            self.ratios.draw(front, lines)
            self._timelines += self.first_steps.draw(history)

    def png(self, quick: bool = False) -> bytes:
        """The picture; ``quick``: see ``canvas.encoded``."""
        all_curves = (self.curves, *self.more.values())
        pairs = zip(self._rows.values(), all_curves, strict=True)
        rows = [layers.pixels(curves.behind, curves.moving) for layers, curves in pairs]
        left = self._left.pixels(self.ratios.behind, self.ratios.moving)
        below = np.concatenate([left, self._right.pixels(self._timelines, ())], axis=1)
        return encoded(np.concatenate([*rows, below]), quick)

    @property
    def shown_size(self) -> dict[str, int]:
        """Width and height on a page, in pixels."""
        size = self._upper.shown_size
        return size | {"height": size["height"] + round(SHOWN_DPI * (LOWER + MORE * len(self.more)))}


def _draw_curves(
    curves: CurveFigure, clock: str, front: str, lines: Sequence[tuple[Line, Curve]], exact: bool
) -> None:
    """These lines' curves and no others, faint where a line is neither in front nor measured."""
    curves.name_clock(clock)
    for gone in set(curves.labels) - {line.label for line, _ in lines}:
        curves.drop(gone)
    for line, curve in lines:
        faint = line.label != front and not line.measured
        curves.draw(line.label, curve, line.colour, faint, dashed=line.measured)
    curves.arrange((line.label for line, _ in lines), exact)


class Ratios:
    """Speed-up against the number of nodes, beside the ideal line; both axes in factors of two."""

    def __init__(self, ax: Axes) -> None:
        self._ax = ax
        (self._ideal,) = ax.plot([], [], color=INK, linestyle="--", linewidth=1.2)
        self._dots = ax.scatter([], [], zorder=3, animated=True)
        self._word = ax.annotate(
            "", (0, 0), xytext=(6, -3), textcoords="offset points", color=INK, fontsize=8.5, animated=True
        )
        self.moving = [self._dots, self._word]
        ax.set_xlabel("nodes")
        ax.set_ylabel("speed-up (× one node)")
        self._title = ax.set_title("", loc="left", x=-0.02, color=INK, fontsize=8.5)

    @property
    def behind(self) -> tuple[Any, ...]:
        """While this is equal, so is all that stands behind the dots."""
        return self._ax.get_xlim(), self._ax.get_ylim(), self._title.get_text()

    def draw(self, front: str, lines: Iterable[Line]) -> None:
        """A dot for each line whose speed-up is known, a ring for a measured one; the front one's number."""
        known = [line for line in lines if line.speedup]
        places = [(np.log2(line.nodes), np.log2(line.speedup or 1)) for line in known]
        self._dots.set_offsets(np.array(places).reshape(-1, 2))
        self._dots.set_facecolor(["none" if line.measured else line.colour for line in known])
        self._dots.set_edgecolor([line.colour for line in known])
        self._dots.set_linewidth([1.8 if line.measured else 0 for line in known])
        self._dots.set_sizes([96 if line.measured else 52 if line.label == front else 24 for line in known])
        self._title.set_text("dashed: ideal" + "; ring: measured" * any(line.measured for line in known))
        self._word.set_text("")
        for line, place in zip(known, places, strict=True):
            if line.label == front:
                self._word.xy = place
                self._word.set_text(f"{line.speedup:.3g}")
        self._fit(places)

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
