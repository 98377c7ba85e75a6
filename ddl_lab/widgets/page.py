"""What a widget puts on the notebook's page: a figure, and words below it.

Both go through display handles and not into a widget, so that a saved notebook keeps them.
"""

from __future__ import annotations

import html
import io
import sys
import textwrap
from typing import Any, Protocol

from ..plots.canvas import DRAWN_DPI, SHOWN_DPI
from ..travel.shell import shell

REVIVE = "If the controls are missing or do not answer, run this cell."


class Closable(Protocol):
    """What a cell leaves open: a widget."""

    def close(self) -> None:
        """Take it off the page."""


_open: dict[str, tuple[str, list[Closable]]] = {}  # by cell: the run of it, and what that opened


def replace_older(newer: Closable) -> None:
    """Note that this cell opened ``newer``; what an earlier run of the cell opened is closed."""
    cell, run = _this_cell()
    if not cell:
        return
    last_run, opened = _open.get(cell, ("", []))
    if last_run != run:
        for older in opened:
            older.close()
        opened = []
    _open[cell] = (run, [*opened, newer])


def _this_cell() -> tuple[str, str]:
    """The ids of the notebook cell that is running and of this run of it; "" where there is none."""
    parent: dict[str, Any] = getattr(shell(), "get_parent", dict)()
    return str(parent.get("metadata", {}).get("cellId", "")), str(parent.get("header", {}).get("msg_id", ""))


class Page:
    """A figure and, below it, words; each in place of its last state."""

    def __init__(self) -> None:
        self.text = ""
        self._figure: Any = None
        self._words: Any = None

    def show(self, figure: Any, text: str) -> None:
        """Put both on the page."""
        self.draw(*picture_of(figure))
        self.say(text)

    def draw(self, bundle: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Put a picture on the page, in place of the last one."""
        self._figure = _put(self._figure, bundle, metadata)

    def say(self, text: str, code: str = "") -> None:
        """Put words below the picture, and a line of code to copy; the last line tells how to go on.

        Before there is a picture none are shown: they would stand above it.
        """
        self.text = text
        if self._figure is None:
            return
        lines = [part for line in text.splitlines() for part in textwrap.wrap(line, 90) or [""]]
        plain = "\n".join([*lines, *filter(None, [code]), REVIVE])
        marked = "".join(map(_marked, text.splitlines()))
        marked += f"<pre>{html.escape(code)}</pre>" if code else ""
        marked += f"<p><small>{REVIVE}</small></p>"
        self._words = _put(self._words, {"text/plain": plain, "text/html": marked}, {})


def _marked(line: str) -> str:
    """A line as HTML; what is indented is code, below an error."""
    tag = "pre" if line.startswith(" ") else "p"
    return f"<{tag}>{html.escape(line)}</{tag}>"


def _put(handle: Any, bundle: dict[str, Any], metadata: dict[str, Any]) -> Any:
    from IPython.display import display

    if handle is None:
        return display(bundle, metadata=metadata, raw=True, display_id=True)
    handle.update(bundle, metadata=metadata, raw=True)
    return handle


def picture_of(figure: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A matplotlib Figure as what a page takes: a PNG with clear ground, its words, its size."""
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise TypeError(
            f"this is a {type(figure).__name__}, and the page takes a matplotlib Figure, as those of "
            "ddl_lab.plots are, or a pair (figure, sentence)."
        )
    if "matplotlib.pyplot" in sys.modules:  # else the notebook shows it once more when the cell ends
        sys.modules["matplotlib.pyplot"].close(figure)
    if hasattr(figure, "_repr_png_"):
        png, size = figure._repr_png_()
    else:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DRAWN_DPI, transparent=True)
        width, height = (round(side * SHOWN_DPI) for side in figure.get_size_inches())
        png, size = buffer.getvalue(), {"width": width, "height": height}
    return {"image/png": png, "text/plain": repr(figure)}, {"image/png": size}
