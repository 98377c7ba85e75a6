"""Controls that wait until a prediction is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Prediction(Protocol):
    """What ``lab.ask`` returns, as far as a widget needs it."""

    @property
    def ready(self) -> bool:
        """Whether a prediction is written, or the reader wants none."""

    def when_ready(self, callback: Callable[[], None]) -> None:
        """Call back as soon as that is so."""


class Lock:
    """Keeps widgets disabled until the prediction is there, or the reader asks to be shown."""

    def __init__(self, prediction: Prediction | None, widgets: Sequence[Any]) -> None:
        import ipywidgets

        self._widgets = list(widgets)
        self.locked = prediction is not None and not prediction.ready
        note = ipywidgets.Label("The controls wait for your prediction: write it in the box above.")
        self._open = ipywidgets.Button(description="Show me anyway", tooltip="use the controls without one")
        self._open.on_click(lambda _: self.unlock())
        self.row = ipywidgets.HBox([note, self._open])
        self._show()
        if prediction is not None and self.locked:
            prediction.when_ready(self.unlock)

    def unlock(self) -> None:
        """Let the controls be moved."""
        self.locked = False
        self._show()

    def _show(self) -> None:
        self.row.layout.display = None if self.locked else "none"
        for widget in self._widgets:
            widget.disabled = self.locked
