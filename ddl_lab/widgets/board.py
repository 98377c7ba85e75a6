"""What an explorer shows: the figure with all its curves, and the words and the line of code below it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from ..cluster.model import Cluster
from ..history.history import History
from ..history.recorder import KINDS
from ..plots.curves import Curve
from ..plots.explored import COLOURS, ExploredFigure, Line
from ..plots.metrics import BAND
from ..plots.words import clock_of, described
from .page import Page
from .settings import Setting, counted

PAINT_S = 0.1  # between two redraws at least, and at most a seventh of the time goes into them
FAINT = 4  # earlier settings that stay in sight
KEPT = 60  # and that come back without being simulated again


class Board:
    """The figure and its words. One setting stands in front; a real run may stand beside it."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._figure = ExploredFigure(metric, History("virtual", []))
        self.page = Page()
        self.next_paint = self._paint_s = 0.0
        self._done: dict[str, tuple[Line, History, str]] = {}  # by label, the newest last
        self._front: Setting | None = None
        self._growing: tuple[Line, History] | None = None
        self._real: tuple[Line, History] | None = None
        self._colours: dict[str, str] = {}  # of the lines in sight, by label
        self._text = self._real_text = self._real_of = ""

    def clear(self) -> None:
        """Forget every curve."""
        self._done.clear()
        self._colours.clear()
        self._growing = self._real = None
        self._real_text = ""

    def turn_to(self, setting: Setting) -> bool:
        """Put this setting in front; whether it was simulated before, and so is shown at once."""
        self._front, self._growing, self.next_paint = setting, None, 0.0
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
        self._text = text
        first = self._growing is None
        if curve is not None:
            self._growing = (Line(setting.label, setting.nodes, curve), history)
        self.paint(lower=not first)  # the first points come sooner so

    def finished(self, setting: Setting, curve: Curve, speedup: float, history: History, text: str) -> None:
        """Show the front setting's whole curve, and keep it."""
        line = Line(setting.label, setting.nodes, curve, speedup)
        self._growing = None
        self._done[setting.label] = (line, _light(history), text)
        for oldest in list(self._done)[:-KEPT]:
            del self._done[oldest]
        self._text = text
        self.paint(quick=len(self._done) > 1)  # the first one is what most saved notebooks keep

    def forget_real(self) -> None:
        """Take the last real run's curve and words away."""
        self._real, self._real_text = None, ""

    def simulated_s(self, setting: Setting | None) -> float | None:
        """How long a setting took when it was simulated, None if it was not."""
        known = self._done.get(setting.label) if setting else None
        return known[1].elapsed_s if known else None

    def may_paint(self) -> bool:
        """Whether the last redraw is long enough ago."""
        return time.monotonic() >= self.next_paint

    def real(self, asked: Setting, line: Line, history: History, text: str) -> None:
        """Show the real run of the setting ``asked`` beside the front one."""
        self._real, self._real_of, self._real_text = (line, history), asked.label, text
        self.paint()

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

    def paint(self, quick: bool = True, lower: bool = True) -> None:
        """Draw everything anew, the lower row too where told."""
        began = time.monotonic()
        setting = self._front
        assert setting is not None
        found = self._growing or self._done.get(setting.label, (None, None, ""))[:2]
        lines = sorted(self._coloured(), key=lambda line: (line.measured, line.nodes))
        history = self._real[1] if self._real and self._real_of == setting.label else found[1]
        clock = f"virtual; dashed: {clock_of(self._real[1])}" if self._real else "virtual clock"
        self._figure.draw(self._headline(setting), clock, setting.label, lines, history if lower else None)
        self._show(quick)
        self.say()
        now = time.monotonic()
        self._paint_s = max(now - began, 0.9 * self._paint_s)  # the next one may be a slower one again
        self.next_paint = now + max(PAINT_S, 6 * self._paint_s)

    def _show(self, quick: bool) -> None:
        bundle: dict[str, Any] = {"image/png": self._figure.png(quick), "text/plain": repr(self._figure)}
        self.page.draw(bundle, {"image/png": self._figure.shown_size})

    def _lines(self) -> list[Line]:
        lines = [*self._faint(), *([self._real[0]] if self._real else [])]
        front = self._front.label if self._front else ""
        if self._growing:
            lines.append(self._growing[0])
        elif front in self._done:
            lines.append(self._done[front][0])
        return lines

    def _faint(self) -> list[Line]:
        front = self._front.label if self._front else ""
        return [line for label, (line, *_) in self._done.items() if label != front][-FAINT:]

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

    def _headline(self, setting: Setting) -> str:
        headline = f"{self._metric}: {counted(setting.nodes, 'simulated ')}, virtual clock"
        if self._real:
            return f"{headline}; dashed: {described(self._real[1])}"
        return headline + (BAND if setting.nodes > 1 else "")


def _light(history: History) -> History:
    """The history without what the workers returned: models, mostly."""
    return History(history.clock, history.recorders, [], history.finished_s, history.about)


def summary(history: History, setting: Setting, metric: str, curve: Curve, speedup: float) -> str:
    """What the figure shows, in a sentence."""
    steps = f"{len(curve.steps.x)} step{'' if len(curve.steps.x) == 1 else 's'}"
    who = ", ".join([counted(history.nodes, "simulated "), *setting.changed, clock_of(history)])
    text = f"{who}: {metric} {curve.last:.3g} after {steps} and {history.elapsed_s:.3g} s"
    if history.nodes > 1 and speedup:
        text += f"; {speedup:.3g} times the samples/s of one node"
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
