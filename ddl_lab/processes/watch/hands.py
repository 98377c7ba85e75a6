"""The learner's hands on a run that goes on: from any thread, each within a fifth of a second."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from ..launch.resources import Resources, resources_for
from ..plan import Plan
from .heard import Heard


class Hands(Heard):
    """Stops, slows and signals ranks. Its bell wakes the supervisor; it is closed when the run is over."""

    _resources: Resources

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.marks: list[tuple[float, int, str]] = []
        self.forked = threading.Event()  # the workers' processes are there, or the run is over
        self.started = threading.Event()  # the workers run, or the run is over
        self.done = threading.Event()
        with resources_for(plan.nodes):
            self._bell, self._bell_end = socket.socketpair()
        self._bell_lock = threading.Lock()

    def stop(self, reason: str, wait: bool = True) -> None:
        """End the run now, and (if told) wait until its processes are gone."""
        with self._bell_lock:
            if not self.done.is_set():
                self._stop_reason = self._stop_reason or reason
                self._bell.send(b"!")
        if wait:
            self.done.wait()

    def signal(self, rank: int, number: int, mark: str) -> None:
        """Send a signal to a rank's process, through its parent: a process id is never reused so."""
        self._act(rank, mark, lambda: self._resources.run.send(rank, number))

    def slow(self, rank: int, factor: float) -> None:
        """Make a rank's compute spans take ``factor`` times as long from now on."""
        self._act(rank, f"slow x{factor:g}", lambda: self._resources.controls[rank].send("slow", factor))

    def _act(self, rank: int, mark: str, send: Callable[[], None]) -> None:
        """Send an order once the ranks are there, and mark it; nothing where the run is over."""
        self.forked.wait()
        with self._bell_lock:
            if not self.done.is_set():
                with contextlib.suppress(OSError):  # the server or the rank is gone: the run is about to end
                    send()
                now = time.monotonic()
                self.marks.append((now - (self.origin or now), rank, mark))  # at 0 while ranks still load

    def _on_pids(self, pids: list[int]) -> None:
        super()._on_pids(pids)
        self.forked.set()

    def _over_with(self) -> None:
        with self._bell_lock:
            self._bell.close()  # first: who waits for the end finds nothing left open
            self._bell_end.close()
            self.done.set()
            self.started.set()
            self.forked.set()
