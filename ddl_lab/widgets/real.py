"""An explorer's real run: processes with the same setting, their curve, and hands on the nodes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from ..counted import counted
from ..errors import LabError, StoppedRun
from ..history.history import History
from ..plots.histories.explored import Line
from ..plots.histories.words import described
from ..processes.run import Run, start
from ..processes.watch.supervisor import available_cores
from .board import Board, speedup_of
from .controls import button
from .newest import Newest, in_words
from .settings import Setting, cut_to

MOST_PROCESSES = 8  # on a laptop's few cores
SLOW = 5.0  # times as long
AGREES = 1.1  # times the simulated time: up to here there is nothing to explain


class RealRun:
    """At most one run at a time; whoever starts another ends it."""

    def __init__(self, board: Board, setting: Callable[[], Setting]) -> None:
        import ipywidgets

        self._board, self._setting = board, setting
        self._newest = Newest(self._failed)
        self.run: Run | None = None
        self._asked: Setting | None = None
        self._done_to: dict[int, set[str]] = {}  # by rank: "slow", "paused", "killed"
        self._cut = ""
        self._alone_per_s: dict[tuple[str, ...], float] = {}  # by setting: samples/s of one process
        self.start_button = button("Run for real", "start processes with these settings", self.begin)
        self.stop_button = button("Stop", "end the processes", self.stop)
        self.paced = ipywidgets.Checkbox(
            value=True, description="at the cluster's pace", indent=False, layout={"width": "auto"}
        )
        self.paced.tooltip = "processes wait so that computing and messages take the cluster's time"
        self.node = ipywidgets.Dropdown(options=[0], description="node", layout={"width": "9em"})
        self.node.style.description_width = "3em"
        self.node.observe(lambda _: self._name_hands(), "value")
        self.slow = button("slow ×5", "let it compute five times as long, or as before", self._slow)
        self.pause = button("pause", "stop this process where it stands, or let it go on", self._pause)
        self.kill = button("kill", "kill this process", self._kill)
        self.hands = ipywidgets.HBox([self.node, self.slow, self.pause, self.kill])
        self.hands.layout.display = "none"
        self._enable()

    @property
    def buttons(self) -> list[Any]:
        """What starts and stops it."""
        return [self.start_button, self.paced, self.stop_button]

    def begin(self) -> None:
        """Start processes as the controls stand."""
        self.stop()
        setting = self._setting()
        nodes = min(setting.nodes, MOST_PROCESSES)
        self._cut = ""
        if nodes < setting.nodes:
            last = f", the last one as the last of {setting.nodes}" * bool(setting.cluster.slow)
            self._cut = f" ({setting.nodes} would be as many processes: {nodes} run{last}.)"
        cluster = cut_to(setting.cluster, nodes, setting.nodes) if self.paced.value else None
        self._asked = setting
        self._board.forget_real()
        self._board.next_paint = 0.0
        self._board.say_of_real("Run for real: starting.")
        try:
            self.run = start(setting.worker, nodes, cluster=cluster, args=setting.args, progress=False)
        except (ValueError, TypeError, LabError) as error:
            self._board.say_of_real(f"Run for real: {in_words(error)}")
            return
        self._done_to = {}
        self.node.options = list(range(nodes))
        self.hands.layout.display = None
        self._enable()
        self._newest.ask(self._slices)

    def stop(self) -> None:
        """End the processes and wait until they are gone; what they did stays in the figure."""
        if self.run is not None and not self.run.done:
            self.run.stop()

    def drop(self) -> None:
        """End the processes, and follow them no more."""
        self._newest.stop()
        self.stop()
        self.hands.layout.display = "none"
        self._enable()

    def close(self) -> None:
        """As ``drop``, and take the buttons away."""
        self.drop()
        for widget in (*self.buttons, self.node, self.slow, self.pause, self.kill, self.hands):
            widget.close()

    def _slices(self) -> Generator[None]:
        run = self.run
        assert run is not None
        while not run.done:
            if self._board.may_paint():
                self._paint(run.history, "goes on")
            yield
        self._enable()
        self._paint(run.history, self._ended(run))

    def _ended(self, run: Run) -> str:
        try:
            run.wait()
        except StoppedRun:
            return "stopped"
        except LabError as error:
            return in_words(error).rstrip(".")
        return "ended"

    def _paint(self, history: History, state: str) -> None:
        curve = self._board.curve(history)
        steps = max(recorder.steps for recorder in history.recorders)
        state = "starting" if state == "goes on" and curve is None else state
        done = f"{counted(steps, 'step')} in {history.elapsed_s:.3g} s"
        text = f"Measured on {described(history)}: {state}, {done}"
        told_s = self._board.simulated_s(self._asked) if state == "ended" and not self._cut else None
        late = ""
        if told_s and history.elapsed_s:
            ratio = history.elapsed_s / told_s
            why = _why(history.nodes) if ratio > AGREES else ""
            text += f" (simulated {told_s:.3g} s, ratio {ratio:.3g}{why})"
            if history.clock == "paced" and ratio > AGREES:  # the figure says so too
                late = f", which this machine missed: {ratio:.2g} × the time"
        if curve is None:
            self._board.say_of_real(f"{text}.{self._cut}")
            return
        text += f", {self._board.metric} {curve.last:.3g}.{self._told()}{self._cut}"
        label = f"{described(history).split(' over ')[0]},\nmeasured"
        assert self._asked is not None
        line = Line(label, history.nodes, curve, self._speedup(history), measured=True)
        self._board.real(self._asked, line, history, text + self._alone_told(history), late)

    def _speedup(self, history: History) -> float | None:
        """Times the samples/s of one node: of the cluster's, or of one that ran at this machine's pace."""
        assert self._asked is not None
        if history.clock == "paced":
            return speedup_of(history, self._asked.cluster) or None
        if history.nodes == 1 and history.samples_per_s:
            self._alone_per_s[self._asked.changed] = history.samples_per_s
        alone_per_s = self._alone_per_s.get(self._asked.changed)
        return history.samples_per_s / alone_per_s if alone_per_s else None

    def _alone_told(self, history: History) -> str:
        known = history.clock == "paced" or self._speedup(history) or not history.samples_per_s
        return "" if known else " (Run one node for real too, and the speed-up gets its ring.)"

    def _told(self) -> str:
        told = [f"node {rank}: {', '.join(sorted(done))}" for rank, done in self._done_to.items() if done]
        return f" {'; '.join(told)}." if told else ""

    def _failed(self, error: BaseException) -> None:
        self._enable()
        self._board.say_of_real(f"Run for real: {in_words(error)}")

    # the hands

    def _slow(self) -> None:
        slowed = self._flip("slow")
        self._run().slow(self.node.value, SLOW if slowed else 1.0)

    def _pause(self) -> None:
        run = self._run()
        (run.pause if self._flip("paused") else run.resume)(self.node.value)

    def _kill(self) -> None:
        self._flip("killed")
        self._run().kill(self.node.value)

    def _run(self) -> Run:
        assert self.run is not None
        return self.run

    def _flip(self, what: str) -> bool:
        """Note that this was done to the node, or undone; whether it was done."""
        done = self._done_to.setdefault(self.node.value, set())
        done ^= {what}
        self._name_hands()
        return what in done

    def _name_hands(self) -> None:
        done = self._done_to.get(self.node.value, set())
        self.slow.description = "full speed" if "slow" in done else "slow ×5"
        self.pause.description = "resume" if "paused" in done else "pause"

    def _enable(self) -> None:
        running = self.run is not None and not self.run.done
        for widget in (self.stop_button, self.node, self.slow, self.pause, self.kill):
            widget.disabled = not running
        self._name_hands()


def _why(processes: int) -> str:
    """Why a run takes longer than simulated where its processes take turns; "" where they need not."""
    cores = available_cores()
    return f": {processes} processes share {counted(cores, 'core')}" if processes > cores else ""
