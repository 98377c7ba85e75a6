"""What a worker prints and warns of, on its way to the caller."""

from __future__ import annotations

import codecs
import functools
import io
import os
import sys
import warnings
from collections import deque
from collections.abc import Callable

from .channel import Channel

MOST_LINES = 1_000  # of one rank and stream: a loop that prints without end must not flood the caller
LAST_LINES = 10  # that are shown of those beyond
LONGEST_LINE = 2**16  # characters
_READ = 2**16  # bytes at a time
_HELD = 16  # times that many are in a pipe at most


class Stream(io.TextIOBase):
    """Standard output or error of a worker: whole lines go to ``tell``; the caller adds the rank."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._line = tell, ""
        self._lines = 0
        self._last: deque[str] = deque(maxlen=LAST_LINES)  # of those that there was no room for

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *whole, self._line = (self._line + text).split("\n")
        room = max(0, MOST_LINES - self._lines)
        self._lines += len(whole)
        if whole[:room]:
            self._tell("\n".join(line[:LONGEST_LINE] for line in whole[:room]))
        self._last.extend(line[:LONGEST_LINE] for line in whole[room:][-LAST_LINES:])
        self._line = self._line[:LONGEST_LINE]  # a line that never ends
        return len(text)

    def flush(self) -> None:
        """Lines are sent when they are whole; an unfinished one waits for its end."""

    def finish(self) -> None:
        """Send an unfinished last line, tell of what was left out, and send the last of that."""
        if self._line:
            self.write("\n")
        if self._last:
            left_out = self._lines - MOST_LINES - len(self._last)
            self._tell("\n".join([*[f"… {left_out:,} more lines …"] * (left_out > 0), *self._last]))


class Written:
    """What a worker's process writes past Python, from a pipe: a program it starts, a library, a crash."""

    def __init__(self, fd: int, tell: Callable[[str], None]) -> None:
        self._fd, self._stream = fd, Stream(tell)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def fileno(self) -> int:
        """For selectors."""
        return self._fd

    def read(self) -> bool:
        """Take what has come; whether anything had."""
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return False
        self._stream.write(self._decoder.decode(data))
        return bool(data)

    def finish(self) -> None:
        """Take the rest, once the process is gone."""
        for _ in range(_HELD):
            if not self.read():
                break
        self._stream.finish()


def redirect(channel: Channel, output: int) -> list[Stream]:
    """Send this process's output, errors and warnings to the caller; what goes past Python, to ``output``."""
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    streams = [Stream(functools.partial(channel.send, "print", name)) for name in ("stdout", "stderr")]
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
