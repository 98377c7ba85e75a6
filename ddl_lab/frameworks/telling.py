"""One line that tells how far something is, in a notebook cell or a terminal; updated in place."""

from __future__ import annotations

import sys
from typing import Any

from ..ticker import in_notebook


class Line:
    """Shows the last text it was given; nothing where neither a notebook nor a terminal is there."""

    def __init__(self, shown: bool = True) -> None:
        self._shown = shown
        self._handle: Any = None
        self._last = ""

    def tell(self, text: str) -> None:
        """Show ``text`` in place of the last one."""
        if not self._shown or text == self._last:
            return
        self._last = text
        if in_notebook():
            self._display({"text/plain": text})
        elif sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K" + text)
            sys.stderr.flush()

    def close(self) -> None:
        """Leave the last text where it is."""
        if self._last and self._handle is None and sys.stderr.isatty():
            print(file=sys.stderr)

    def _display(self, bundle: dict[str, str]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
