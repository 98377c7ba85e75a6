"""Predictions: a box to type a number in before a run, and the number beside the result afterwards.

``ask`` shows the question, a box, and a line that says what is written; what is written is kept in the
learner's own file. ``reveal`` sets it beside the result, and ``then`` shows what would tell it. Where
nobody sits at the notebook there is no box, nothing is read or kept or held back, and the text depends on
the result alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .boxes import Box
from .file import LearnerFile, attended, current, today
from .near import Near
from .numbers import amount, number
from .showing import Places, Words, held_back, show_now

_asked: dict[str, Prediction] = {}  # by key: a cell that runs again replaces its box


def ask(key: str, question: str, unit: str = "", *, near: Near | None = None) -> Prediction:
    """Ask for a number before a run; ``.reveal(measured)`` sets it beside the result.

    ``key``: the lab's number, a dot and a name ("03.wait"), under which the prediction is kept: it is
    there again after a restart of the kernel. ``unit`` stands behind the box and is part of no number:
    12 in a box with the unit "%" is 12 %. ``near``: what counts as right, ``lab.within(0.05)`` or
    ``lab.within(factor=10)``; unless told, the ratio decides. Raises ``TypeError`` for another ``near``.
    """
    if near is not None and not isinstance(near, Near):
        raise TypeError(f"near takes lab.within(0.05) or lab.within(factor=10); it got {near!r}")
    if (older := _asked.pop(key, None)) is not None:
        older.close()
    _asked[key] = prediction = Prediction(key, question, unit, near)
    prediction.pose()
    return prediction


class Prediction:
    """A number somebody was asked for: ``.value``, None until it is written."""

    def __init__(self, key: str, question: str, unit: str = "", near: Near | None = None) -> None:
        self.key, self.question, self.unit, self.near = key, question, unit, near or Near()
        self.value: float | None = None
        self._file: LearnerFile = current()
        self._attended = attended()
        self._waived = self._late = self._revealed = False
        self._waiting: list[Callable[[], Any]] = []
        self._boxes: list[Box] = []
        if self._attended:
            known = self._file.known("predictions", key)
            kept = known.get("value")
            self.value = float(kept) if isinstance(kept, int | float) else None
            self._late, self._revealed = bool(known.get("late")), "measured" in known

    def __repr__(self) -> str:
        return f"<prediction {self.key}: {self.told()}>"

    def told(self) -> str:
        """The prediction with its unit, or that there is none."""
        if self.value is None:
            return "none written"
        return amount(self.value, self.unit) + (" (after its result)" if self._late else "")

    def state(self) -> str:
        """What is written, or that nothing will be; empty where it is still awaited."""
        if self.value is None:
            return "The result is shown without a number." if self.ready else ""
        stays = self._revealed and not self._late
        return f"Written: {self.told()}" + (" (it stays: its result has been shown)" if stays else "")

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
        """Write the number down, as the box does. Raises ``ValueError`` for what is no number.

        Once the result has been shown, the number that was written before stays as it is; a first one
        is kept, as one that came late.
        """
        typed = number(value, self.unit)
        if not self._revealed or self.value is None or self._late:
            self.value, self._late = typed, self._revealed
            about = {"unit": self.unit, "question": self.question, "on": today()}
            late = {"late": True} if self._late else {}
            self._file.note("predictions", self.key, value=typed, **about, **late)
        self._go_on()

    def waive(self) -> None:
        """Go on without a number: what "show me anyway" does."""
        self._waived = True
        self._go_on()

    def pose(self, anyway: bool = False) -> None:
        """Display the question and, where somebody could type, the box, if told with "show me anyway"."""
        from IPython.display import display

        quoted = self.question.replace("\n", "\n> ")
        display(Words(f"Your prediction. {self.question}", f"> **Your prediction.** {quoted}"))
        if self._attended:
            self._boxes.append(Box(self, anyway))

    def close(self) -> None:
        """Take the boxes away; what was said stays."""
        for box in self._boxes:
            box.close()

    def reveal(self, measured: Any, show: Any = None, *, also: Sequence[Any] = ()) -> None:
        """Set ``measured``, one number in the same unit, beside the prediction.

        ``show``: what else would tell the result: a function without arguments that prints, displays or
        returns it, or one thing to display. ``also``: values that are right as well, as in a tie. Where
        no number is written yet, asks once more, with a button "show me anyway", and shows all of it when
        either is done, as it was when the cell ran. Raises ``TypeError`` if ``measured`` is no number.
        """
        found, others = _found(measured), [_found(value) for value in also]
        if self.ready:
            show_now(self._beside(found, others))
            show_now(show)
            return
        self.pose(anyway=True)
        held = held_back(show)
        places = Places(1 + len(held), Words("", ""))
        self.when_ready(lambda: places.fill([self._beside(found, others), *held]))

    def then(self, show: Any) -> None:
        """In a later cell: show what tells the result again, as ``reveal`` does, once it may be seen."""
        if self.ready:
            show_now(show)
        elif held := held_back(show):
            note = f"This comes after your number. {self.question}"
            places = Places(len(held), Words(note, f"<small>{note}</small>"))
            self.when_ready(lambda: places.fill(held))

    def _beside(self, found: float, others: Sequence[float]) -> Words:
        """The table of both; what it says is kept."""
        if self.value is None:
            text, dot = f"measured {amount(found, self.unit)}; no prediction was written", {}
            words = Words(text, text)
        else:
            judged = self.near.judge(self.value, found, self.unit, others)
            words, dot = _table(self.value, self.told(), found, self.unit, judged.words), {"dot": judged.dot}
        if self._attended:
            self._revealed = True
            self._file.note("predictions", self.key, measured=found, **dot)
        return words

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()
        for box in self._boxes:
            box.tell()


def _found(measured: Any) -> float:
    try:
        return float(measured)
    except (TypeError, ValueError, RuntimeError):
        kind = type(measured).__name__
        raise TypeError(f"reveal takes the measured number; it got a {kind}: {measured!r}") from None


def _table(predicted: float, guess: str, measured: float, unit: str, judged: str) -> Words:
    """Predicted, measured, ratio, and what to make of it."""
    found = amount(measured, unit)
    ratio = f"{measured / predicted:.3g}" if predicted else "–"
    head = "| predicted | measured | measured / predicted |\n|---|---|---|\n"
    row = f"| {guess} | **{found}** | {ratio} |\n\n"
    text = f"predicted {guess}, measured {found}, measured / predicted {ratio}: {judged}"
    return Words(text, f"{head}{row}{judged}")
