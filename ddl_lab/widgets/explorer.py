"""``explore``: controls, and a figure that a simulation redraws while it goes on.

The figure goes through a display handle and not into a widget, so that a saved notebook keeps it as
a picture. A simulation advances in short slices on the kernel's event loop: a move of a control is
heard between two of them, and what it asks for takes the place of what was under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

from ..cluster.model import Cluster
from ..counted import counted
from ..errors import LabError
from ..history.history import History
from ..plots.histories.curves import Curve
from ..virtual.simulation import Simulation, simulate
from .board import Board, Metrics, speedup_of, summary
from .controls import button
from .lock import Lock, Prediction
from .newest import Newest, in_words
from .page import replace_older
from .panel import Panel
from .real import RealRun
from .settings import Setting

SLICE_S = 0.05  # of simulating between two looks at the controls

USUAL = Cluster()


def explore(
    worker: Callable[..., Any],
    *,
    nodes: Any = 4,
    most: int = 64,
    cluster: Cluster = USUAL,
    args: Sequence[Any] = (),
    metric: Metrics = "loss",
    prediction: Prediction | None = None,
    show_cluster: bool = False,
    **controls: Any,
) -> None:
    """Show controls, and what ``worker(node, *args)`` does on ``cluster``'s virtual clock.

    ``nodes``: where the slider begins; it offers powers of two up to ``most``. Or a list of counts
    (the first is the start), or a ``lab.Slider``. ``controls``: for any argument of the worker a
    ``lab.Slider``, a list or names to choose from, or a bool: ``lr=lab.Slider(0.01, 3, 0.1, log=True),
    batch=[16, 64], rule={"mean": mean, "median": median}``. Latency, bandwidth and a slower last node
    stand behind the button "cluster …", open from the start with ``show_cluster``. ``prediction``, from
    ``lab.ask``: the controls wait until it is written.

    The figure: ``metric`` against time and steps, speed-up, and the first steps' timeline. When the cell
    ends the first one is complete, and beside it, unless a prediction is waited for, the same on another
    number of nodes; earlier settings stay as faint curves. "Run for real" starts processes with the same
    setting, beside the simulated curve. ``metric={"loss": 20, "staleness": 1}``: a row for each, and the
    mean of so many steps. Raises as ``simulate`` does, and ``ValueError`` where the worker doesn't record
    ``metric``; errors after a move stand below.
    """
    panel = Panel(worker, nodes, most, cluster, args, controls, show_cluster)
    explorer = Explorer(panel, metric, prediction)
    replace_older(explorer)
    explorer.show()
    explorer.compare()


class Explorer:
    """One explorer: its panel, its board with figure and words, its simulation and its real run."""

    def __init__(self, panel: Panel, metric: Metrics, prediction: Prediction | None = None) -> None:
        self.panel, self.board = panel, Board(metric)
        self.real = RealRun(self.board, panel.setting)
        self.lock = Lock(prediction, [c.widget for c in panel.all] + [self.real.start_button])
        self._reset = button("Reset", "all controls back to their start, earlier curves away", self.reset)
        self._newest = Newest(self._failed)

    def __repr__(self) -> str:
        return f"<explorer: {self.board.page.text}>"

    def show(self) -> None:
        """Display everything; the first figure is complete when this returns."""
        import ipywidgets
        from IPython.display import display

        buttons = ipywidgets.HBox([*self.real.buttons, self._reset, self.panel.toggle])
        self.box = ipywidgets.VBox([self.lock.row, *self.panel.rows, buttons, self.real.hands])
        display(self.box)
        try:
            for _ in self._slices(self.panel.setting()):
                pass
        except BaseException:
            self.close()
            raise
        self.panel.on_move(self._moved)

    def compare(self) -> None:
        """Put the nearest other number of nodes beside the first picture: a saved page shows what they do.

        Not while the controls wait for a prediction, whose answer it may be.
        """
        beside = None if self.lock.locked else self.panel.beside()
        if beside is None:
            return
        try:
            history = simulate(beside.worker, beside.nodes, cluster=beside.cluster, args=beside.args)
            self.board.add(beside, *self._told(history, beside))
        except (LabError, ValueError) as error:  # it may be a worker for so many nodes and no others
            self.board.say_of_real(f"{counted(beside.nodes, 'node')}: {in_words(error)}")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop what is under way, processes too, and take the controls away; the figure stays."""
        self._newest.stop()
        self.real.close()
        self.panel.close()
        self.box.close()

    def reset(self) -> None:
        """Back to the start, with nothing beside it."""
        self.real.drop()
        self.board.clear()
        self.panel.reset()

    def _moved(self) -> None:
        self._newest.ask(lambda: self._slices(self.panel.setting()))

    def _failed(self, error: BaseException) -> None:
        self.board.say(f"{counted(self.panel.nodes.value, 'node')}: {in_words(error)}")

    def _slices(self, setting: Setting) -> Generator[None]:
        """Simulate, yield after every slice, and redraw now and then and at the end."""
        if self.board.turn_to(setting):
            return
        with Simulation(setting.worker, setting.nodes, setting.cluster, setting.args) as simulation:
            while not _advanced(simulation):
                self._paint_so_far(setting, simulation.history)
                yield
            history = simulation.history
        self.board.finished(setting, *self._told(history, setting))

    def _told(self, history: History, setting: Setting) -> tuple[Curve, float, History, str]:
        """A finished simulation's curve, its speed-up, itself, and what it shows, in a sentence."""
        curve = self.board.check(history)
        times = speedup_of(history, setting.cluster) if history.nodes > 1 else 1.0
        return curve, times, history, summary(history, setting, self.board.metric, curve, times)

    def _paint_so_far(self, setting: Setting, history: History) -> None:
        steps = _steps(history)
        so_far = f"{setting.label}: simulating, {steps or 'no'} step{'s' if steps > 1 else ''} so far."
        if not self.board.may_paint(begins=steps > 0):
            return
        if not steps:
            self.board.say(so_far)
        else:
            self.board.growing(self.board.curve(history), history, so_far)


def _advanced(simulation: Simulation) -> bool:
    """Go on for a slice, which the first point cuts short; whether all workers returned."""
    until = time.monotonic() + SLICE_S
    begun = _steps(simulation.history) > 0
    while not simulation.advance(SLICE_S if begun else SLICE_S / 5):
        if begun or _steps(simulation.history) or time.monotonic() >= until:
            return False
    return True


def _steps(history: History) -> int:
    """How many steps the fastest node has recorded."""
    return max(recorder.steps for recorder in history.recorders)
