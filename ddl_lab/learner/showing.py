"""What a cell shows only after the reader's number: run with the cell, held back, put on the page later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Words:
    """A text for everything, and one for a page (Markdown)."""

    def __init__(self, text: str, page: str) -> None:
        self.text, self.page = text, page

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return self.page


class Printed:
    """What was printed: as it is, in letters of one width."""

    def __init__(self, text: str) -> None:
        self.text = text.rstrip("\n")

    def __repr__(self) -> str:
        return self.text


def show_now(show: Any) -> None:
    """Let a function print and display, and display what it returns; or display the thing itself."""
    from IPython.display import display

    value = show() if callable(show) else show
    if value is not None:
        display(value)


def held_back(show: Any) -> list[Any]:
    """The same, with nothing on the page: what there is to display later, the printed text first.

    A function runs at once: later, other cells may have changed the names that it uses.
    """
    from IPython.utils.capture import capture_output

    if not callable(show):
        return [] if show is None else [show]
    with capture_output() as caught:
        value = show()
    texts = [Printed(text) for text in (caught.stdout, caught.stderr) if text.strip()]
    return [*texts, *caught.outputs, *([] if value is None else [value])]


class Places:
    """Places on the page for so many things, empty but for ``note`` in the first."""

    def __init__(self, count: int, note: Words) -> None:
        from IPython.display import display

        words = [note, *[Words("", "")] * (count - 1)]
        self._handles: list[Any] = [display(word, display_id=True) for word in words]

    def fill(self, parts: Sequence[Any]) -> None:
        """Put the things there."""
        for handle, part in zip(self._handles, parts, strict=True):
            handle.update(part)
