"""Interrupts (Ctrl-C, Stop) that come while a run goes on: none is lost, none tears what it meets.

Python raises an interrupt between any two lines of the main thread. While processes may exist it is kept
instead: the run is told to stop, and what the interrupt raised is raised once nothing of the run is left.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from ...history.history import History


class Flag:
    """As ``threading.Event``, but an interrupt may cut a waiter short at any line.

    An Event's lock stays taken where that happens, and whoever sets it then blocks for ever. Here each waiter
    has a lock of its own, and whoever sets the flag (one thread only) takes none.
    """

    def __init__(self) -> None:
        self._set = False
        self._bells: deque[threading.Lock] = deque()

    def is_set(self) -> bool:
        """Whether it is set; it stays so."""
        return self._set

    def set(self) -> None:
        """Set it, and wake all who wait."""
        self._set = True
        while self._bells:
            self._bells.popleft().release()

    def wait(self, timeout_s: float = -1) -> bool:
        """Wait until it is set, or for so many seconds; whether it is set."""
        bell = threading.Lock()
        bell.acquire()
        self._bells.append(bell)
        if not self._set:  # whoever sets it from here on finds the bell
            bell.acquire(timeout=timeout_s)
        with contextlib.suppress(ValueError):  # it has been rung
            self._bells.remove(bell)
        return self._set


class Going(Protocol):
    """A run, as its interrupts see it."""

    @property
    def done(self) -> bool:
        """Whether it is over and nothing of it is left."""

    @property
    def history(self) -> History:
        """What it has recorded so far."""

    def _end(self, reason: str, wait: bool = True) -> None: ...


G = TypeVar("G", bound=Going)
T = TypeVar("T")


class Interrupts:
    """While it is in force, interrupts end its runs, and are raised when it is left.

    They are raised at once where nothing is at stake: before a run begins (the learner's own code may be
    pickled then), and the second time after all has ended (it may be unpickled then, and hang).
    """

    def __init__(self, runs: list[Any]) -> None:
        self.runs = runs  # ``begins`` adds to them
        self._kept: BaseException | None = None
        self._handler: Any = signal.getsignal(signal.SIGINT) if _in_main_thread() else None

    def __enter__(self) -> None:
        if callable(self._handler):  # else an interrupt is ignored, or ends this process: as the user has it
            signal.signal(signal.SIGINT, self._keep)

    def _keep(self, number: int, frame: Any) -> None:
        """The handler of SIGINT: what the one before raises is kept."""
        try:
            self._handler(number, frame)
        except BaseException as error:
            if not self.runs:
                raise
            if self._kept is not None and all(run.done for run in self.runs):
                self._let_through()  # here: what is raised may cut short the line that does so
                raise
            self._kept = self._kept or error.with_traceback(None)
            for run in self.runs:
                run._end("interrupted", wait=False)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        ending = self._kept or error
        try:
            for run in self.runs if ending is not None else ():
                run._end("interrupted")
            if isinstance(ending, KeyboardInterrupt) and self.runs:
                ending.history = self.runs[-1].history  # type: ignore[attr-defined]
        finally:
            self._let_through()
        if self._kept is not None:
            raise self._kept from None

    def _let_through(self) -> None:
        """Interrupts are again whose they were before."""
        if callable(self._handler):
            signal.signal(signal.SIGINT, self._handler)


def uninterrupted(deed: Callable[[G], T]) -> Callable[[G], T]:
    """A method of a run. Whatever it raises, at any line but its first, the run is over then.

    Before that line the method has not been called yet. A KeyboardInterrupt has the ``history``.
    """

    @functools.wraps(deed)
    def guarded(run: G) -> T:
        try:
            with Interrupts([run]):
                return deed(run)
        except BaseException:  # also an interrupt that came just as they were let through again
            with Interrupts([run]):
                raise

    return guarded


def begins(run: Going) -> None:
    """Call before the first process of ``run``: interrupts of those who wait for it are its end."""
    handler: Any = signal.getsignal(signal.SIGINT) if _in_main_thread() else None
    for interrupts in _in_force(handler):
        if run not in interrupts.runs:
            interrupts.runs.append(run)


def _in_force(handler: Any) -> Iterator[Interrupts]:
    """Those in force, the innermost first: each has put its handler before the other's."""
    while isinstance(interrupts := getattr(handler, "__self__", None), Interrupts):
        yield interrupts
        handler = interrupts._handler


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
