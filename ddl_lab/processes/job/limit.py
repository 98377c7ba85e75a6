"""The time that a rank of a job may take: when it is over, the rank says what it does, and ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from typing import Any

from ...errors import StoppedRun
from .network import JobEndpoint, NetworkInbox

_ALARM = signal.SIGURG  # which does nothing where it comes too late


class _TimeIsOver(BaseException):
    """Raised in the thread of a worker whose time is over; no worker catches it by ``except Exception``."""


class TimeLimit:
    """End this rank in words when the limit passes: its process where torchrun has started that for it alone.

    Else the process is somebody's (a script that goes on, an actor of Ray's), and ``StoppedRun`` is raised.
    """

    def __init__(self, endpoint: JobEndpoint, inbox: NetworkInbox, limit_s: float | None) -> None:
        self._endpoint, self._inbox, self._limit_s = endpoint, inbox, limit_s
        self._thread = threading.get_ident()
        self._said = ""
        self._handler: Any = None  # of the alarm, before; None: a thread, or C, which Python can't bring back
        limited = limit_s is not None and limit_s < threading.TIMEOUT_MAX
        self._timer = threading.Timer(limit_s or 0, self._over) if limited else None

    def _over(self) -> None:
        doing = self._endpoint.doing()
        self._said = (
            f"rank {self._endpoint.rank} is not finished after timeout_s={self._limit_s:g}: it {doing}"
        )
        if "TORCHELASTIC_RUN_ID" in os.environ:
            print(self._said, file=sys.stderr, flush=True)
            os._exit(1)
        if self._handler is not None:
            signal.pthread_kill(self._thread, _ALARM)
            return
        raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
        raise_in_thread(ctypes.c_ulong(self._thread), ctypes.py_object(_TimeIsOver))
        self._inbox.wake()

    def __enter__(self) -> None:
        if self._timer:
            if threading.current_thread() is threading.main_thread():
                self._handler = signal.getsignal(_ALARM)
            if self._handler is not None:  # it wakes a sleep and a read as well
                signal.signal(_ALARM, _time_is_over)
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        try:
            if self._timer:
                self._timer.cancel()
                self._timer.join()  # it may be at it: what it raises is raised here, and not later
        except _TimeIsOver as over:
            error = over
        if self._handler is not None:
            signal.signal(_ALARM, self._handler)
        if isinstance(error, _TimeIsOver):
            raise StoppedRun(self._said) from None


def _time_is_over(number: int, frame: Any) -> None:
    raise _TimeIsOver
