"""Standard output as bytes, ``sys.stdout.buffer``, where a stream takes text only, as a notebook's does."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Bytes(io.RawIOBase):
    """The bytes below a stream of text: what is written here, the stream gets as text."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with memoryview(data) as content:
            self._stream.write(self._decoder.decode(content.tobytes()))
            return content.nbytes

    def fileno(self) -> int:
        return int(self._stream.fileno())


@contextmanager
def with_buffers() -> Iterator[None]:
    """While it lasts, ``sys.stdout`` and ``sys.stderr`` have a ``buffer``, as those of a process."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if hasattr(stream, "__dict__")]
    lacking = [stream for stream in streams if not hasattr(stream, "buffer")]
    for stream in lacking:
        vars(stream)["buffer"] = Bytes(stream)
    try:
        yield
    finally:
        for stream in lacking:
            vars(stream).pop("buffer", None)
