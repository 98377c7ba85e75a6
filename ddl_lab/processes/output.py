"""What a worker prints and warns of, on its way to the caller."""

from __future__ import annotations

import io
import sys
import warnings

from .channel import Channel

MOST_LINES = 1_000  # of one rank and stream: a loop that prints without end must not flood the caller
LONGEST_LINE = 2**16  # characters


class Stream(io.TextIOBase):
    """Standard output or error of a worker: whole lines go to the caller, which adds the rank."""

    def __init__(self, channel: Channel, name: str) -> None:
        self._channel, self._name, self._line = channel, name, ""
        self._lines = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *whole, self._line = (self._line + text).split("\n")
        room = max(0, MOST_LINES - self._lines)
        self._lines += len(whole)
        if whole[:room]:
            shown = "\n".join(line[:LONGEST_LINE] for line in whole[:room])
            self._channel.send("print", self._name, shown)
        self._line = self._line[:LONGEST_LINE]  # a line that never ends
        return len(text)

    def flush(self) -> None:
        """Lines are sent when they are whole; an unfinished one waits for its end."""

    def finish(self) -> None:
        """Send an unfinished last line, and tell of what was left out."""
        if self._line:
            self.write("\n")
        if self._lines > MOST_LINES:
            left_out = f"… and {self._lines - MOST_LINES:,} more lines"
            self._channel.send("print", self._name, left_out)


def redirect(channel: Channel) -> list[Stream]:
    """Send this process's output, errors and warnings to the caller."""
    streams = [Stream(channel, "stdout"), Stream(channel, "stderr")]
    sys.stdout, sys.stderr = streams

    told = 0

    def show(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
        nonlocal told
        told += 1
        if told <= MOST_LINES:
            text = f"{category.__name__}: {message} ({filename}, line {lineno})"
            channel.send("print", "warning", text[:LONGEST_LINE])

    warnings.showwarning = show
    return streams
