"""The box in which a prediction is typed, and the line under it."""

from __future__ import annotations

import html
from typing import Any, Protocol

from .showing import Words


class Asked(Protocol):
    """What a box must know of the prediction that it is for."""

    value: float | None
    unit: str

    @property
    def ready(self) -> bool:
        """Whether a number is written, or none will be."""

    def told(self) -> str:
        """The number with its unit."""

    def state(self) -> str:
        """What is written, in words; empty where nothing is and nothing was waived."""

    def write(self, value: float | str) -> None:
        """Write the number down."""

    def waive(self) -> None:
        """Go on without one."""


class Box:
    """A box, its unit, and under it a line that says what is written."""

    def __init__(self, prediction: Asked, anyway: bool) -> None:
        import ipywidgets
        from IPython.display import display

        self.prediction = prediction
        self.field = ipywidgets.Text(
            value=self._number(),
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

    def _number(self) -> str:
        return "" if self.prediction.value is None else f"{self.prediction.value:.10g}"

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
            self.field.value = self._number()
            self.field.observe(self._typed, "value")
        if self.button is not None:
            self.button.layout.display = "none"
        self._say("")

    def close(self) -> None:
        """Take the box away; the line stays."""
        self.row.close()

    def _say(self, trouble: str) -> None:
        if self._line is not None:
            self._line.update(self._words(trouble))

    def _words(self, trouble: str) -> Words:
        text = trouble or self.prediction.state() or self._nothing_yet()
        return Words(text, f"<small>{html.escape(text)}</small>")

    def _nothing_yet(self) -> str:
        what = (
            "Nothing is written yet." if self.button is None else "Your number first: the result comes here."
        )
        return f"{what} (If there is no box, run this cell.)"
