"""Work in slices on the kernel's event loop, of which only the newest request counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, TypeAlias

PAUSE_S = 0.001  # in which the kernel hears messages: each takes several turns of its event loop

Slices: TypeAlias = Callable[[], Any]  # makes a generator: work until its next yield is one slice


class Newest:
    """Does what it was asked last; a newer request ends what is under way, so none ever queue up.

    Between two slices, and before the first, the kernel hears what else has come. Without a running
    event loop (a plain script) each request is done at once. ``failed`` is told of errors.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        try:  # a cell runs inside the kernel's event loop
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    @property
    def loops(self) -> bool:
        """Whether there is an event loop, so that slices may wait for each other."""
        return self._loop is not None

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._task is not None and not self._task.done()

    def ask(self, slices: Slices) -> None:
        """Do this in place of all before it. May be called from a thread."""
        if self._loop is None:
            self._do_at_once(slices)
        else:  # the kernel may call from a thread of its own, and figures belong to the main one
            self._loop.call_soon_threadsafe(self._turn_to, slices)

    def stop(self) -> None:
        """End what is under way."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _do_at_once(self, slices: Slices) -> None:
        try:
            _exhaust(slices())
        except Exception as error:
            self._failed(error)

    def _turn_to(self, slices: Slices) -> None:
        self.stop()
        assert self._loop is not None
        self._task = self._loop.create_task(self._follow(slices))

    async def _follow(self, slices: Slices) -> None:
        await asyncio.sleep(PAUSE_S)  # a newer request that is here already takes this one's place
        try:
            with closing(slices()) as work:
                for _ in work:
                    await asyncio.sleep(PAUSE_S)
        except (Exception, KeyboardInterrupt) as error:
            self._failed(error)


def _exhaust(work: Iterator[Any]) -> None:
    for _ in work:
        pass


def in_words(error: BaseException) -> str:
    """An error as a line below the figure."""
    return f"{type(error).__name__}: {error}".rstrip(": ")
