"""One line of progress while a run or a simulation goes on, in a notebook cell or a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from .counted import counted
from .history.history import History
from .history.recorder import Recorder
from .travel.shell import in_notebook

_EVERY_S = 0.2


class Progress:
    """Shows elapsed time, finished nodes and each rank's newest metrics; one display, updated in place."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self._next = time.monotonic() + 0.4  # what ends sooner needs no progress
        self._handle: Any = None
        self._shown = False

    def update(self, recorders: Sequence[Recorder], elapsed_s: float, finished: int) -> None:
        """Redraw, at most five times a second."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY_S
        head = f"{elapsed_s:.1f} s, {finished} of {self.nodes} done"
        self._write("\n".join([head, *self._rows(recorders)]))

    def _rows(self, recorders: Sequence[Recorder]) -> list[str]:
        rows = []
        for rank, recorder in enumerate(recorders[:8]):
            newest = "  ".join(f"{k} {v:.4g}" for k, v in recorder.last.items())
            rows.append(f"  rank {rank}: {recorder.steps} rows  {newest}".rstrip())
        if len(recorders) > 8:
            rows.append(f"  and {len(recorders) - 8} more")
        return rows

    def close(self, history: History | None) -> None:
        """Leave one line that says how it ended."""
        if self._shown and history is not None:
            start = f"; started in {history.startup_s:.2f} s" if history.startup_s else ""
            nodes = counted(history.nodes, "node")
            self._write(f"{nodes}, {history.elapsed_s:.2f} s ({history.clock} clock){start}")
        if self._shown and self._handle is None and sys.stderr.isatty():
            print(file=sys.stderr)

    def _write(self, text: str) -> None:
        self._shown = True
        if in_notebook():
            from IPython.display import display

            bundle = {"text/plain": text}
            if self._handle is None:
                self._handle = display(bundle, raw=True, display_id=True)
            else:
                self._handle.update(bundle, raw=True)
        elif sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K" + text.splitlines()[0])
            sys.stderr.flush()
