"""``vary``: controls for a function that draws."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Generator
from typing import Any

from .controls import Control, check_controls
from .lock import Lock, Prediction
from .newest import Newest, in_words
from .page import Page, replace_older

PAINT_S = 0.1  # between the starts of two redraws at least, and at most half of the time goes into them


def vary(draw: Callable[..., Any], *, prediction: Prediction | None = None, **controls: Any) -> None:
    """Show controls, and what ``draw`` draws for where they stand; a move redraws.

    ``draw(name=value, …)`` returns a matplotlib Figure, or a pair of it and a sentence that stands
    below. A control is a ``Slider``, a list (a menu that begins with its first entry) or a bool (a
    box to tick); its keyword is the argument that it moves. ``prediction``, from ``lab.ask``: the
    controls wait until it is written. Errors of the first picture are the cell's, later ones stand
    below the figure. Raises ``TypeError`` for what is no control or fits no argument of ``draw``.
    """
    check_controls("vary", controls)
    _check_draw(draw, controls)
    varied = Vary(draw, prediction, controls)
    replace_older(varied)
    varied.show()


def _check_draw(draw: Any, controls: dict[str, Any]) -> None:
    if not callable(draw):
        raise TypeError(f"vary takes a function that returns a figure; it got {draw!r:.60}.")
    try:
        inspect.signature(draw).bind(**controls)
    except TypeError as error:
        name = getattr(draw, "__name__", type(draw).__name__)
        told = f"{name}{inspect.signature(draw)}"
        raise TypeError(f"the controls don't fit {told}: {error}. Name its arguments.") from None


class Vary:
    """A drawing function's controls, its figure, and its sentence."""

    def __init__(
        self, draw: Callable[..., Any], prediction: Prediction | None, controls: dict[str, Any]
    ) -> None:
        self._draw = draw
        self.controls = [Control(name, asked) for name, asked in controls.items()]
        self.lock = Lock(prediction, [control.widget for control in self.controls])
        self.page = Page()
        self._newest = Newest(self._failed)
        self._next = 0.0  # when the next redraw may start

    def show(self) -> None:
        """Display everything; the first picture is there when this returns."""
        import ipywidgets
        from IPython.display import display

        rows = [self.lock.row, *(control.widget for control in self.controls)]
        self.box = ipywidgets.VBox(rows)
        display(self.box)
        try:
            self._redraw()
        except BaseException:
            self.close()
            raise
        for control in self.controls:
            control.widget.observe(self._moved, "value")

    def close(self) -> None:
        """Take the controls away; the picture stays."""
        self._newest.stop()
        self.box.close()
        for control in self.controls:
            control.widget.close()

    def _moved(self, _: Any) -> None:
        self._newest.ask(self._slices)

    def _slices(self) -> Generator[None]:
        while self._newest.loops and time.monotonic() < self._next:
            yield
        self._redraw()

    def _redraw(self) -> None:
        began = time.monotonic()
        drawn = self._draw(**{control.name: control.value for control in self.controls})
        figure, sentence = drawn if isinstance(drawn, tuple) and len(drawn) == 2 else (drawn, "")
        self.page.show(figure, str(sentence))
        now = time.monotonic()
        self._next = max(began + PAINT_S, now + (now - began))

    def _failed(self, error: BaseException) -> None:
        at = ", ".join(f"{control.name} = {control.value}" for control in self.controls)
        self.page.say(f"{at}: {in_words(error)}")
