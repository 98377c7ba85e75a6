"""Signal handlers and the alarm clock, which a process has once: in a simulation each node has its own.

They are looked at where one has been set. The caller's clock runs on, unless a node sets its own: that
stands while other nodes have their turns, and the caller's comes back with the time that is left.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_plain: Any = sys.modules["_signal"]  # which ``signal`` calls, and in which a pickle finds ``alarm``
_MODULES: tuple[Any, ...] = _plain, signal
_get_handler, _set_handler = _plain.getsignal, _plain.signal
_set_clock, _set_alarm = _plain.setitimer, _plain.alarm
_ALL = tuple(sorted(signal.valid_signals()))
_REAL = signal.ITIMER_REAL

Clock = tuple[float, float]  # seconds until it rings, and between the next ones; 0: not at all
Signals = tuple[tuple[Any, ...], Clock | None]  # handlers, and a clock of a node's own

_known: list[Signals | None] = [None]  # as read last, if it is still so
_callers: list[Clock] = []  # put aside: the caller's clock, by when it is to ring


@contextmanager
def watched() -> Iterator[None]:
    """While it lasts, it is noticed who sets a handler or the clock."""
    _known[0] = None
    _plain.signal = _noted(_set_handler)
    for module in _MODULES:
        module.setitimer, module.alarm = _noted(_set_clock, True), _noted(_set_alarm, True)
    try:
        yield
    finally:
        _plain.signal = _set_handler
        for module in _MODULES:
            module.setitimer, module.alarm = _set_clock, _set_alarm


def _noted(call: Callable[..., Any], clock: bool = False) -> Callable[..., Any]:
    def noted(*given: Any) -> Any:
        if clock and not _callers:
            _put_aside()
        _known[0] = None
        return call(*given)

    return noted


def read() -> Signals:
    """What is in force now."""
    if _known[0] is not None:
        return _known[0]
    clock = signal.getitimer(_REAL) if _callers else None
    now = tuple(map(_get_handler, _ALL)), clock
    if not (clock and clock[0]):  # one that runs is another at the next look
        _known[0] = now
    return now


def put(wanted: Signals) -> None:
    """Put ``wanted`` in force. The clock stands meanwhile: it must not ring with another's handler."""
    handlers, clock = wanted
    if clock is not None and not _callers:
        _put_aside()
    if _callers:
        _set_clock(_REAL, 0.0)
    for number, handler in zip(_ALL, handlers, strict=True):
        if handler is not None and handler != _get_handler(number):  # None: set in C, by no worker
            _set_handler(number, handler)
    if clock is not None:
        _set_clock(_REAL, *clock)
    elif _callers:
        until, every = _callers.pop()
        _set_clock(_REAL, max(until - time.monotonic(), 1e-6) if until else 0.0, every)
    _known[0] = None if clock and clock[0] else wanted


def _put_aside() -> None:
    left, every = signal.getitimer(_REAL)
    _callers.append((left and time.monotonic() + left, every))
