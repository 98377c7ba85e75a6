"""What an explorer shows: the figure with all its curves, and the words and the line of code below it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from ..cluster.model import Cluster
from ..counted import counted
from ..history.history import History
from ..history.recorder import KINDS
from ..plots.histories.curves import Curve, curve_of, known_curve, several
from ..plots.histories.explored import COLOURS, ExploredFigure, Line
from ..plots.histories.metrics import BAND
from ..plots.histories.words import clock_of, described
from .page import Page
from .settings import Setting

PAINT_S = 0.2  # between two redraws at least: a picture and words each, ten updates of the page a second
REST = 16  # times as long as it took are between a redraw and the next one of a simulation,
REAL_REST = 4  # and of a real run, which computes in other processes
LONG_S = 4.0  # of simulating, after which the timeline comes before the end
FAINT = 4  # earlier settings that stay in sight
KEPT = 60  # and that come back without being simulated again

Metrics: TypeAlias = str | Mapping[str, int]  # a name, or by name the steps that a mean is taken of


class Board:
    """The figure and its words. One setting stands in front; a real run may stand beside it."""

    def __init__(self, metric: Metrics) -> None:
        self._smooth = {metric: 1} if isinstance(metric, str) else dict(metric)
        if not self._smooth or not all(isinstance(n, int) and n >= 1 for n in self._smooth.values()):
            raise ValueError(f"metric={metric!r}: give a name, or steps by name: {{'loss': 20, 'wait': 1}}.")
        self.metric, *more = self._smooth  # the first one, which the words are about
        self._figure = ExploredFigure(self.metric, History("virtual", []), more)
        self.page = Page()
        self.next_paint = self._turned = 0.0
        self._done: dict[str, tuple[Line, History, str]] = {}  # by label, the newest last
        self._front: Setting | None = None
        self._growing: tuple[Line, History] | None = None
        self._begun = False  # whether the front setting's first points have been shown
        self._real: tuple[Line, History] | None = None
        self._colours: dict[str, str] = {}  # of the lines in sight, by label
        self._text = self._real_text = self._real_of = self._late = ""

    def clear(self) -> None:
        """Forget every curve."""
        self._done.clear()
        self._colours.clear()
        self._growing = self._real = None
        self._real_text = self._late = ""

    def curve(self, history: History) -> Curve | None:
        """The first metric's curve; None before anyone recorded it."""
        return curve_of(history, self.metric, self._smooth[self.metric])

    def check(self, history: History) -> Curve:
        """As ``curve``; raises ``ValueError`` where nobody recorded one of the metrics."""
        first, *_ = [known_curve(history, name, "", smooth) for name, smooth in self._smooth.items()]
        return first

    def turn_to(self, setting: Setting) -> bool:
        """Put this setting in front; whether it was simulated before, and so is shown at once."""
        self._front, self._growing, self._begun, self.next_paint = setting, None, False, 0.0
        self._turned = time.monotonic()
        known = self._done.pop(setting.label, None)
        if known is None:
            return False
        self._done[setting.label] = known
        self._text = known[2]
        self.paint()
        return True

    def growing(self, curve: Curve | None, history: History, text: str) -> None:
        """Show the front setting as far as it is simulated."""
        setting = self._front
        assert setting is not None
        self._text, self._begun = text, True
        if curve is not None:
            self._growing = (Line(setting.label, setting.nodes, curve, more=self._more(history)), history)
        self.paint(lower=time.monotonic() > self._turned + LONG_S)  # the first points come sooner so

    def finished(self, setting: Setting, curve: Curve, speedup: float, history: History, text: str) -> None:
        """Show the front setting's whole curve, and keep it."""
        line = Line(setting.label, setting.nodes, curve, speedup, more=self._more(history))
        self._growing = None
        self._done[setting.label] = (line, _light(history), text)
        for oldest in list(self._done)[:-KEPT]:
            del self._done[oldest]
        self._text = text
        self.paint(quick=len(self._done) > 1)  # the first one is what most saved notebooks keep

    def add(self, setting: Setting, curve: Curve, speedup: float, history: History, text: str) -> None:
        """Put a setting's whole curve beside the front one, as if it had been there before."""
        line = Line(setting.label, setting.nodes, curve, speedup, more=self._more(history))
        self._done = {setting.label: (line, _light(history), text), **self._done}
        self.paint(quick=False)  # what a saved notebook keeps

    def forget_real(self) -> None:
        """Take the last real run's curve and words away."""
        self._real, self._real_text, self._late = None, "", ""

    def simulated_s(self, setting: Setting | None) -> float | None:
        """How long a setting took when it was simulated, None if it was not."""
        known = self._done.get(setting.label) if setting else None
        return known[1].elapsed_s if known else None

    def may_paint(self, begins: bool = False) -> bool:
        """Whether the last redraw is long enough ago; a curve that ``begins`` doesn't wait."""
        return (begins and not self._begun) or time.monotonic() >= self.next_paint

    def real(self, asked: Setting, line: Line, history: History, text: str, late: str = "") -> None:
        """Show the real run of the setting ``asked`` beside the front one; ``late``: by how much."""
        self._late = late
        line = replace(line, more=self._more(history))
        self._real, self._real_of, self._real_text = (line, history), asked.label, text
        self.paint(rest=REAL_REST)

    def say_of_real(self, text: str) -> None:
        """Say something of a real run that has no curve."""
        self._real_text = text
        self.say()

    def say(self, text: str | None = None) -> None:
        """Put other words below the figure as it is."""
        self._text = self._text if text is None else text
        faint = self._faint_text()
        glue = "\n" if "\n" in self._text else " "  # an error's last line is code
        told = [glue.join(filter(None, [self._text, faint])), self._real_text]
        code = self._front.code() if self._front else ""
        self.page.say("\n".join(filter(None, told)), code)
        self.next_paint = max(self.next_paint, time.monotonic() + PAINT_S)

    def paint(self, quick: bool = True, lower: bool = True, rest: int = REST) -> None:
        """Draw everything anew, the lower row too where told."""
        began = time.monotonic()
        setting = self._front
        assert setting is not None
        found = self._growing or self._done.get(setting.label, (None, None, ""))[:2]
        lines = sorted(self._coloured(), key=lambda line: (line.measured, line.nodes))
        history = self._real[1] if self._real and self._real_of == setting.label else found[1]
        clock = f"virtual; dashed: {clock_of(self._real[1])}" if self._real else "virtual clock"
        headline = self._headline(setting, found[1])
        below = history if lower else None
        self._figure.draw(headline, clock, setting.label, lines, below, exact=not quick)
        self._show(quick)
        self.say()
        now = time.monotonic()
        self.next_paint = now + max(PAINT_S, rest * (now - began))

    def _show(self, quick: bool) -> None:
        bundle: dict[str, Any] = {"image/png": self._figure.png(quick), "text/plain": repr(self._figure)}
        self.page.draw(bundle, {"image/png": self._figure.shown_size})

    def _lines(self) -> list[Line]:
        front = self._growing or self._done.get(self._front_label)
        return [*self._faint(), *(shown[0] for shown in (self._real, front) if shown)]

    def _faint(self) -> list[Line]:
        lines = [line for label, (line, *_) in self._done.items() if label != self._front_label]
        return lines[-FAINT:]

    @property
    def _front_label(self) -> str:
        return self._front.label if self._front else ""

    def _faint_text(self) -> str:
        lines = sorted(self._faint(), key=lambda line: line.nodes)
        return f"Fainter: {'; '.join(line.label for line in lines)}." if lines else ""

    def _coloured(self) -> list[Line]:
        """All lines in sight: each keeps its colour as long as it stays, and no two have the same."""
        lines = self._lines()
        kept = {line.label: self._colours[line.label] for line in lines if line.label in self._colours}
        free = (colour for colour in COLOURS if colour not in kept.values())
        self._colours = {line.label: kept.get(line.label) or next(free) for line in lines}
        return [replace(line, colour=self._colours[line.label]) for line in lines]

    def _more(self, history: History) -> dict[str, Curve]:
        """The further metrics' curves, of those that somebody recorded."""
        found = {name: curve_of(history, name, smooth) for name, smooth in list(self._smooth.items())[1:]}
        return {name: curve for name, curve in found.items() if curve}

    def _headline(self, setting: Setting, history: History | None) -> str:
        headline = f"{self.metric}: {counted(setting.nodes, 'simulated node')}, virtual clock"
        steps = self._smooth[self.metric]
        headline += f"; mean of {steps} steps" if steps > 1 else ""
        if self._real:
            return f"{headline}; dashed: {described(self._real[1])}{self._late}"
        return headline + (BAND if history and several(history, self.metric) else "")


def _light(history: History) -> History:
    """The history without what the workers returned: models, mostly."""
    return History(history.clock, history.recorders, [], history.finished_s, history.about)


def summary(history: History, setting: Setting, metric: str, curve: Curve, speedup: float) -> str:
    """What the figure shows, in a sentence."""
    steps = counted(len(curve.steps.x), "step")
    who = ", ".join([counted(history.nodes, "simulated node"), *setting.changed, clock_of(history)])
    text = f"{who}: {metric} {curve.last:.3g} after {steps} and {history.elapsed_s:.3g} s"
    if history.nodes > 1 and speedup:
        text += f"; {speedup:.3g} times the samples/s of one node"
    return text + "."


def speedup_of(history: History, cluster: Cluster) -> float:
    """How many times the samples/s of rank 0 alone on this cluster, which would compute and do nothing else.

    Where workers don't say how many samples they compute, the spans of a simulation tell. 0.0 where
    nothing is known. It holds for virtual and paced time.
    """
    alone_s = cluster.compute_s(0, "samples", 1)
    done = sum(history.samples)
    if not done and history.clock == "virtual":
        done = sum(_samples_by_time(history, cluster))
    return done * alone_s / history.elapsed_s if history.elapsed_s else 0.0


def _samples_by_time(history: History, cluster: Cluster) -> Iterator[float]:
    """How many samples each rank could have computed in its compute spans."""
    for rank, recorder in enumerate(history.recorders):
        spans = recorder.span_array()
        spans = spans[spans["kind"] == KINDS.index("compute")]
        yield float((spans["end_s"] - spans["start_s"]).sum()) / cluster.compute_s(rank, "samples", 1)
