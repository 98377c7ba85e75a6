"""Predictions: a box to type a number in before a run, and the number beside the result afterwards.

``ask`` shows the question, a box, and a line that says what is written; what is written is kept in the
learner's own file. ``reveal`` sets it beside the result. Where nobody sits at the notebook there is no
box, nothing is read or kept, and the text depends on the result alone.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from .file import LearnerFile, attended, current
from .numbers import amount, number, verdict

_asked: dict[str, Prediction] = {}  # by key: a cell that runs again replaces its box


def ask(key: str, question: str, unit: str = "") -> Prediction:
    """Ask for a number before a run; ``.reveal(measured)`` sets it beside the result.

    ``key``: the lab's number, a dot and a name ("03.wait"), under which the prediction is kept: it is
    there again after a restart of the kernel. ``unit`` stands behind the box and is part of no number:
    12 in a box with the unit "%" is 12 %.
    """
    if (older := _asked.pop(key, None)) is not None:
        older.close()
    _asked[key] = prediction = Prediction(key, question, unit)
    prediction.show()
    return prediction


class Prediction:
    """A number somebody was asked for: ``.value``, None until it is written."""

    def __init__(self, key: str, question: str, unit: str = "") -> None:
        self.key, self.question, self.unit = key, question, unit
        self.value: float | None = None
        self._file: LearnerFile = current()
        self._attended = attended()
        self._waived = False
        self._waiting: list[Callable[[], Any]] = []
        self._boxes: list[_Box] = []
        if self._attended:
            kept = self._file.read()["predictions"].get(key, {}).get("value")
            self.value = float(kept) if isinstance(kept, int | float) else None

    def __repr__(self) -> str:
        return f"<prediction {self.key}: {self.told()}>"

    def told(self) -> str:
        """The prediction with its unit, or that there is none."""
        return "none written" if self.value is None else amount(self.value, self.unit)

    @property
    def ready(self) -> bool:
        """Whether a number is written, or none will be: it was waived, or nobody is there to write it."""
        return self.value is not None or self._waived or not self._attended

    def when_ready(self, callback: Callable[[], Any]) -> None:
        """Call ``callback()`` once a number is written or "show me anyway" pressed; at once if so already."""
        if self.ready:
            callback()
        else:
            self._waiting.append(callback)

    def write(self, value: float | str) -> None:
        """Write the number down, as the box does. Raises ``ValueError`` for what is no number."""
        self.value = number(value, self.unit)
        self._file.note("predictions", self.key, value=self.value, unit=self.unit, question=self.question)
        self._go_on()

    def waive(self) -> None:
        """Go on without a number: what "show me anyway" does."""
        self._waived = True
        self._go_on()

    def show(self, anyway: bool = False) -> None:
        """Display the question and, where somebody could type, the box, if told with "show me anyway"."""
        from IPython.display import display

        display(_Words(f"Your prediction. {self.question}", _question(self.question)))
        if self._attended:
            self._boxes.append(_Box(self, anyway))

    def close(self) -> None:
        """Take the boxes away; what was said stays."""
        for box in self._boxes:
            box.close()

    def reveal(self, measured: Any, show: Any = None) -> None:
        """Set ``measured``, one number in the same unit, beside the prediction.

        ``show``: a figure or anything else to display with it, or a function without arguments that
        makes it. Where no number is written yet, asks once more, with a button "show me anyway", and
        shows all of it when either is done. Raises ``TypeError`` if ``measured`` is no number.
        """
        try:
            found = float(measured)
        except (TypeError, ValueError, RuntimeError):
            kind = type(measured).__name__
            raise TypeError(f"reveal takes the measured number; it got a {kind}: {measured!r}") from None
        if self.ready:
            _display_all(self._parts(found, show))
            return
        self.show(anyway=True)
        handles = [_placeholder(), _placeholder()] if show is not None else [_placeholder()]
        self.when_ready(lambda: _update_all(handles, self._parts(found, show)))

    def _parts(self, found: float, show: Any) -> list[Any]:
        """What a reveal displays: the table, and what is shown with it."""
        if self._attended:
            self._file.note("predictions", self.key, measured=found)
        shown = show() if callable(show) else show
        table = _table(self.value, found, self.unit)
        return [table] if show is None else [table, shown]

    def _go_on(self) -> None:
        for box in self._boxes:
            box.tell()
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()


class _Words:
    """A text for a page (HTML) and for everything else."""

    def __init__(self, text: str, page: str) -> None:
        self.text, self.page = text, page

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return self.page


class _Box:
    """A box, its unit, and under it a line that says what is written."""

    def __init__(self, prediction: Prediction, anyway: bool) -> None:
        import ipywidgets
        from IPython.display import display

        self.prediction = prediction
        self.field = ipywidgets.Text(
            value="" if prediction.value is None else f"{prediction.value:.10g}",
            description="I predict",
            placeholder="a number, then Enter",
            tooltip=f"your prediction{f', in {prediction.unit}' if prediction.unit else ''}",
            continuous_update=False,
            layout=ipywidgets.Layout(width="19em"),
        )
        parts = [self.field, ipywidgets.Label(prediction.unit)]
        self.button = ipywidgets.Button(description="Show me anyway") if anyway else None
        if self.button is not None:
            self.button.on_click(lambda _: prediction.waive())
            parts.append(self.button)
        self.row = ipywidgets.HBox(parts)
        self.field.observe(self._typed, "value")
        display(self.row)
        self._line = display(self._words(""), display_id=True)

    def _typed(self, change: Any) -> None:
        if not str(change["new"]).strip():
            return
        try:
            self.prediction.write(change["new"])
        except ValueError as error:
            self._say(str(error))

    def tell(self) -> None:
        """Show the newest state in field and line; the button has done its work."""
        if self.prediction.value is not None:
            self.field.unobserve(self._typed, "value")
            self.field.value = f"{self.prediction.value:.10g}"
            self.field.observe(self._typed, "value")
        if self.button is not None:
            self.button.layout.display = "none"
        self._say("")

    def close(self) -> None:
        self.row.close()

    def _say(self, trouble: str) -> None:
        if self._line is not None:
            self._line.update(self._words(trouble))

    def _words(self, trouble: str) -> _Words:
        text = trouble or self._state()
        return _Words(text, f"<small>{html.escape(text)}</small>")

    def _state(self) -> str:
        if self.prediction.value is not None:
            return f"Written: {self.prediction.told()}"
        if self.prediction.ready:
            return "The result is shown without a number."
        what = (
            "Nothing is written yet." if self.button is None else "Your number first: the result comes here."
        )
        return f"{what} (If there is no box, run this cell.)"


def _question(question: str) -> str:
    quoted = question.replace("\n", "\n> ")
    return f"> **Your prediction.** {quoted}"


def _table(predicted: float | None, measured: float, unit: str) -> _Words:
    """Predicted, measured, ratio, and what to make of it."""
    found = amount(measured, unit)
    if predicted is None:
        text = f"measured {found}; no prediction was written"
        return _Words(text, text)
    guess = amount(predicted, unit)
    ratio = f"{measured / predicted:.3g}" if predicted else "–"
    judged = verdict(predicted, measured)
    head = "| predicted | measured | measured / predicted |\n|---|---|---|\n"
    row = f"| {guess} | **{found}** | {ratio} |\n\n"
    return _Words(
        f"predicted {guess}, measured {found}, measured / predicted {ratio}: {judged}", f"{head}{row}{judged}"
    )


def _placeholder() -> Any:
    from IPython.display import display

    return display(_Words("", ""), display_id=True)


def _display_all(parts: list[Any]) -> None:
    from IPython.display import display

    for part in parts:
        display(part)


def _update_all(handles: list[Any], parts: list[Any]) -> None:
    for handle, part in zip(handles, parts, strict=True):
        handle.update(part)
