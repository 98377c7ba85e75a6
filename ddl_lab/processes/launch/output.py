"""What a worker prints and warns of, on its way to the caller."""

from __future__ import annotations

import codecs
import functools
import io
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

from ...travel.streams import Bytes
from .channel import Channel

MOST_LINES = 1_000  # of one rank and stream: a loop that prints without end must not flood the caller
LAST_LINES = 10  # that are shown of those beyond
LONGEST_LINE = 2**16  # characters
_READ = 2**16  # bytes at a time
UNFINISHED_S = 1.0  # so long a line may stay unfinished before it is shown, and before it is shown again
_HELD = 16  # times that many are in a pipe at most


class Stream(io.TextIOBase):
    """Standard output or error of a worker: whole lines go to ``tell``; the caller adds the rank.

    An unfinished line is told by ``look``, and once more when there is more of it. ``number``: the descriptor
    that a program or a library may write to in its place.
    """

    encoding, errors = "utf-8", "replace"

    def __init__(self, tell: Callable[[str], None], number: int = -1) -> None:
        self._tell, self._line, self._number = tell, "", number
        self._told = ""  # of the unfinished line
        self._next_s = 0.0
        self._lines = 0
        self._last: deque[str] = deque(maxlen=LAST_LINES)  # of those that there was no room for
        self._lock = threading.RLock()  # ``look`` is another thread's
        self.buffer = Bytes(self)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._number < 0:
            return super().fileno()  # which raises
        return self._number

    def write(self, text: str) -> int:
        with self._lock:
            *whole, self._line = map(_last_of, (self._line + text).split("\n"))
            if whole and self._told and whole[0] == self._told:
                del whole[0]  # nothing has been added to what was told
            self._told = self._told if self._line and not whole else ""
            self._tell_lines(whole)
            self._line = self._line[:LONGEST_LINE]  # a line that never ends
        return len(text)

    def _tell_lines(self, whole: list[str]) -> None:
        room = max(0, MOST_LINES - self._lines)
        self._lines += len(whole)
        if whole[:room]:
            self._tell("\n".join(line[:LONGEST_LINE] for line in whole[:room]))
        self._last.extend(line[:LONGEST_LINE] for line in whole[room:][-LAST_LINES:])

    def flush(self) -> None:
        """Lines are sent when they are whole; an unfinished one when ``look`` finds it."""

    def look(self) -> None:
        """Tell an unfinished line that stands longer than a moment: a progress bar, a dot a step."""
        with self._lock:
            now = time.monotonic()
            if self._line in ("", self._told):
                self._next_s = now + UNFINISHED_S
            elif now >= self._next_s and self._lines < MOST_LINES:
                self._next_s, self._told = now + UNFINISHED_S, self._line
                self._tell_lines([self._line])

    def finish(self) -> None:
        """Send an unfinished last line, tell of what was left out, and send the last of that."""
        if self._line:
            self.write("\n")
        if self._last:
            left_out = self._lines - MOST_LINES - len(self._last)
            self._tell("\n".join([*[f"… {left_out:,} more lines …"] * (left_out > 0), *self._last]))


def _last_of(line: str) -> str:
    """What of a line stands there when it has been written over, as progress bars do."""
    return line.rstrip("\r").rpartition("\r")[2]


class Keyboard(io.TextIOBase):
    """Standard input of a worker: there is none, and what to do instead is said."""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> str:
        raise RuntimeError(
            "a rank has no keyboard, so it can't read its standard input (input(), pdb): hand in what it "
            "needs by args=(…,), and look at it by print, node.record or what it returns."
        )

    def readline(self, size: int = -1) -> str:  # type: ignore[override]
        return self.read(size)


def _refuse_breakpoint(*_: Any, **__: Any) -> None:
    raise RuntimeError(
        "breakpoint() in a rank, which has no keyboard: print or node.record what you want to see, or call "
        "the worker by lab.simulate(worker, nodes), which runs it in your own process."
    )


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

    def look(self) -> None:
        """Tell an unfinished line."""
        self._stream.look()

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
    numbered = {1: "stdout", 2: "stderr"}
    streams = [Stream(functools.partial(channel.send, "print", name), k) for k, name in numbered.items()]
    sys.stdout, sys.stderr = streams
    sys.stdin = Keyboard()
    sys.breakpointhook = _refuse_breakpoint

    told = 0

    def show(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
        nonlocal told
        told += 1
        if told <= MOST_LINES:
            text = f"{category.__name__}: {message} ({filename}, line {lineno})"
            channel.send("print", "warning", text[:LONGEST_LINE])

    warnings.showwarning = show
    return streams
