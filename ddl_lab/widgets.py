"""The explorers: a control, and a figure that a simulation redraws while it goes on.

The figure goes through a display handle and not into a widget, so that a saved notebook keeps it as
a picture. A simulation advances in short slices on the kernel's event loop: a move of the slider is
heard between two of them, and what it asks for takes the place of what was under way.
"""

from __future__ import annotations

import asyncio
import sys
import textwrap
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

from .checks import check_nodes
from .cluster import Cluster
from .history import History
from .plots.curves import Curve, curve_of
from .plots.metrics import BAND, CurveFigure, known_curve
from .plots.words import clock_of, described
from .recorder import KINDS
from .virtual import MOST_NODES, Simulation

SLICE_S = 0.05  # of simulating between two looks at the slider
PAUSE_S = 0.005  # in which the kernel hears messages: each takes several turns of its event loop
PAINT_S = 0.1  # between two redraws at least, and at most a quarter of the time goes into them
REVIVE = "If the slider is missing or does not answer, run this cell."

USUAL = Cluster()

_open: dict[str, Explorer] = {}  # by notebook cell: a cell that runs again replaces its explorer


def explore(
    worker: Callable[..., Any],
    *,
    nodes: int = 4,
    most: int = 64,
    cluster: Cluster = USUAL,
    args: Sequence[Any] = (),
    metric: str = "loss",
) -> None:
    """Show a slider for the number of nodes, 1 to ``most``, and ``metric`` as simulated with them.

    ``worker(node, *args)`` runs on ``cluster``'s virtual clock. The first figure, with ``nodes``
    nodes, is complete when the cell ends; earlier settings stay as faint curves. Raises as
    ``simulate`` does, and ``ValueError`` where the worker doesn't record ``metric``; errors after a
    move of the slider stand below the figure.
    """
    cell = _this_cell()
    if older := _open.pop(cell, None):
        older.close()
    explorer = Explorer(worker, check_nodes(nodes, MOST_NODES), most, cluster, args, metric)
    explorer.show()
    if cell:
        _open[cell] = explorer


def _this_cell() -> str:
    """The id of the notebook cell that is running, "" where there is none."""
    shell = sys.modules.get("IPython")
    parent: dict[str, Any] = getattr(shell.get_ipython() if shell else None, "get_parent", dict)()
    return str(parent.get("metadata", {}).get("cellId", ""))


def node_choices(nodes: int, most: int) -> list[int]:
    """1, 2, 4, … up to ``most``, and the two numbers themselves."""
    most = max(nodes, check_nodes(most, MOST_NODES))
    return sorted({2**k for k in range(most.bit_length())} | {nodes, most})


class Explorer:
    """One explorer: its slider, its figure, its line of text, and the simulation under way."""

    def __init__(
        self,
        worker: Callable[..., Any],
        nodes: int,
        most: int,
        cluster: Cluster,
        args: Sequence[Any],
        metric: str,
    ) -> None:
        import ipywidgets

        self._simulation = (worker, cluster, args)
        self._metric = metric
        self.slider = ipywidgets.SelectionSlider(
            options=node_choices(nodes, most),
            value=nodes,
            description="nodes",
            tooltip="number of simulated nodes: left and right arrow keys move it",
            layout=ipywidgets.Layout(width="30em"),
        )
        self.text = ""
        self._curves: dict[int, Curve] = {}  # of finished simulations, by number of nodes
        self._texts: dict[int, str] = {}
        self._canvas, self._figure = self._new_figure()
        self._handles: list[Any] = []  # of the figure and the text, once they are shown
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<explorer: {self.text}>"

    def show(self) -> None:
        """Display everything; the first figure is complete when this returns."""
        from IPython.display import display

        try:  # a cell runs inside the kernel's event loop; a plain script has none
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        display(self.slider)
        try:
            for _ in self._slices(self.slider.value):
                pass
        except BaseException:
            self.close()
            raise
        self.slider.observe(self._moved, "value")

    def close(self) -> None:
        """Stop what is under way and take the slider away; the figure stays."""
        self._stop()
        self.slider.close()

    def _moved(self, change: Any) -> None:
        if self._loop is None:
            self._go(change["new"])
        else:  # the kernel may call from a thread of its own, and simulations run in the main one
            self._loop.call_soon_threadsafe(self._go, change["new"])

    def _go(self, nodes: int) -> None:
        """Turn to this number of nodes; what was under way ends."""
        self._stop()
        if nodes in self._curves:
            self._paint(nodes, self._curves[nodes], self._texts[nodes])
        elif self._loop is not None:
            self._task = self._loop.create_task(self._follow(nodes))
        else:
            for _ in self._slices(nodes):
                pass

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _follow(self, nodes: int) -> None:
        try:
            with closing(self._slices(nodes)) as slices:
                for _ in slices:
                    await asyncio.sleep(PAUSE_S)
        except (Exception, KeyboardInterrupt) as error:
            self._show(f"{_count(nodes)}: {type(error).__name__}: {error}".rstrip(": "))

    def _slices(self, nodes: int) -> Generator[None]:
        """Simulate, yield after every slice, and redraw now and then and at the end."""
        worker, cluster, args = self._simulation
        next_paint = 0.0
        with Simulation(worker, nodes, cluster, args) as simulation:
            while not simulation.advance(SLICE_S):
                started = time.monotonic()
                if started >= next_paint:
                    steps = max(recorder.steps for recorder in simulation.history.recorders)
                    text = f"{_count(nodes)}: simulating, {steps} steps so far."
                    self._paint(nodes, curve_of(simulation.history, self._metric), text)
                    now = time.monotonic()
                    next_paint = now + max(PAINT_S, 3 * (now - started))
                yield
            history = simulation.history
        curve = known_curve(history, self._metric)
        self._texts[nodes] = _summary(history, cluster, self._metric, curve)
        self._curves[nodes] = curve
        self._paint(nodes, curve, self._texts[nodes])

    def _new_figure(self) -> tuple[Any, CurveFigure]:
        from .plots.canvas import Canvas

        canvas = Canvas(7.6, 3.1, "")
        return canvas, CurveFigure(canvas, self._metric, clock_of(History("virtual", [])))

    def _paint(self, nodes: int, curve: Curve | None, text: str) -> None:
        """Draw this curve in front, the finished ones behind it, and show both figure and text."""
        from .plots.canvas import COLOURS

        choices = list(self.slider.options)
        for count in choices:
            found = curve if count == nodes else self._curves.get(count)
            if found is None:
                self._figure.drop(_count(count))
                continue
            colour = COLOURS[choices.index(count) % len(COLOURS)]
            self._figure.draw(_count(count), found, colour, faint=count != nodes)
        self._figure.arrange(map(_count, choices))
        band = BAND if nodes > 1 else ""
        self._canvas.head(f"{self._metric}: {_count(nodes, 'simulated ')}, virtual clock{band}")
        faint = [str(count) for count in choices if count != nodes and count in self._curves]
        self._show(text + (f" Fainter: {', '.join(faint)} nodes." if faint else ""))

    def _show(self, text: str) -> None:
        """Put figure and text on the page, in place of the last ones."""
        from IPython.display import display

        self.text = text
        lines = [textwrap.fill(line, 90) for line in text.splitlines()]
        words = {"text/plain": "\n".join([*lines, REVIVE])}
        if not self._handles:
            self._handles = [display(self._canvas, display_id=True)]
            self._handles += [display(words, raw=True, display_id=True)]
        else:
            self._handles[0].update(self._canvas)
            self._handles[1].update(words, raw=True)


def _count(nodes: int, kind: str = "") -> str:
    return f"{nodes} {kind}node{'' if nodes == 1 else 's'}"


def _summary(history: History, cluster: Cluster, metric: str, curve: Curve) -> str:
    """What the figure shows, in a sentence."""
    steps = f"{len(curve.steps.x)} step{'' if len(curve.steps.x) == 1 else 's'}"
    text = f"{described(history)}: {metric} {curve.last:.3g} after {steps} and"
    text += f" {history.elapsed_s:.3g} s"
    if history.nodes > 1 and (times := speedup_of(history, cluster)):
        text += f"; {times:.3g} times the samples/s of one node"
    return text + "."


def speedup_of(history: History, cluster: Cluster) -> float:
    """How many times the samples/s of rank 0 alone, which would compute and do nothing else.

    The compute spans tell how many samples there were: so it holds for virtual time, and, where
    speeds differ, for workers that compute by samples. 0.0 where nothing was computed.
    """
    alone_s = cluster.compute_s(0, "samples", 1)
    done = 0.0
    for rank, recorder in enumerate(history.recorders):
        spans = recorder.span_array()
        spans = spans[spans["kind"] == KINDS.index("compute")]
        seconds = float((spans["end_s"] - spans["start_s"]).sum())
        done += seconds * alone_s / cluster.compute_s(rank, "samples", 1)
    return done / history.elapsed_s if history.elapsed_s else 0.0
