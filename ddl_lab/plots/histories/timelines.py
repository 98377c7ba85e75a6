"""The timeline: who computed, communicated and waited, when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...history.history import History
from ...history.spans import Spans, spans_of
from .crowd import draw_shares
from .lanes import MOST_LANES, Lanes, add_legend, draw_lanes, lanes_of
from .overlays import draw_marks, draw_messages, draw_path, path_in_words, path_of
from .window import Window, check_window, window_of
from .words import clock_of, described, missed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def timeline(
    history: History,
    *,
    seconds: Any = None,
    steps: Any = None,
    messages: bool = False,
    critical: bool = False,
    title: str = "timeline",
) -> Figure:
    """Who computed, communicated and waited, when: one lane a rank; of more than 32, their shares.

    ``steps`` or ``seconds``: what to show, an end or (start, end): ``steps=10``,
    ``seconds=(0.2, 0.3)``. Unless told, all, or the first ten steps of a long run. A message that
    moves while its node does something else lies in the lower part of its lane. ``messages``: an arrow
    for each, up to 32 ranks. ``critical``: ``history.critical_path()`` stands out, the rest is faint.
    What hands did to a node (``Run.slow``, ``pause``, ``kill``) is written at its time. ``title``: what
    the headline calls it, before the nodes and the clock. Raises ``ValueError`` for a bad window, and for
    a history without spans.
    """
    scene = _scene(history, seconds, steps, messages, critical)
    from ..canvas import Canvas

    lane = 0.28 if history.nodes <= 16 else 0.2
    height = 3.3 if scene.many else 1.3 + lane * max(history.nodes, 2)
    canvas = Canvas(7.6, height, f"{title}: {scene.words}")
    (ax,) = canvas.row(1, top=0.68)
    scene.draw(ax)
    return canvas


@dataclass(frozen=True)
class _Scene:
    """What a timeline shows, before it is drawn."""

    history: History
    lanes: Lanes
    window: Window
    spans: Spans | None  # where messages or the path are asked for
    path: Lanes | None
    messages: bool

    @property
    def many(self) -> bool:
        """Whether ranks are too many for lanes."""
        return self.history.nodes > MOST_LANES

    @property
    def words(self) -> str:
        """Who, on which clock, which part, and what stands out."""
        words = ", ".join(filter(None, [described(self.history) + missed([self.history]), self.window.words]))
        words += "; arrows: messages" if self.messages else ""
        return words + (f"; {path_in_words(self.path, self.history.elapsed_s)}" if self.path else "")

    def draw(self, ax: Axes) -> None:
        """Draw everything into empty axes."""
        window, nodes = self.window, self.history.nodes
        factor, unit = window.unit
        if self.many:
            draw_shares(ax, self.lanes, nodes, window, factor)
        else:
            within = self.lanes.within(window.start_s, window.end_s)
            draw_lanes(ax, within, nodes, factor, faint=self.path is not None)
        if self.path is not None:
            draw_path(ax, self.path.within(window.start_s, window.end_s), self.many, factor)
        if self.messages and self.spans is not None:
            draw_messages(ax, self.spans, window, factor)
        ax.set_xlim(window.start_s * factor, window.end_s * factor)
        ax.set_xlabel(f"{unit} ({clock_of(self.history)})")
        draw_marks(ax, self.history, self.many, window, factor)
        shown = self.lanes.within(window.start_s, window.end_s)
        add_legend(ax, shown, bool(shown.behind.any()) and not self.many)


def _scene(history: History, seconds: Any, steps: Any, messages: bool, critical: bool) -> _Scene:
    check_window(seconds, steps)
    many = history.nodes > MOST_LANES
    if messages and many:
        raise ValueError(
            f"timeline(messages=True) has lanes for {MOST_LANES} ranks, and this history has "
            f"{history.nodes}: leave the arrows out, or simulate fewer nodes."
        )
    lanes = lanes_of(history)
    if not len(lanes.rank):
        raise ValueError(
            "this history has no spans: put the worker's arithmetic under `with node.compute(samples=…):`."
        )
    window = window_of(history, lanes.crowded and not many, seconds, steps)
    spans = spans_of(history.recorders) if messages or critical else None
    path = path_of(history, spans) if critical and spans is not None else None
    return _Scene(history, lanes, window, spans, path, messages)
