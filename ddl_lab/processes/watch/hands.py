"""The learner's hands on a run that goes on: from any thread, each within a fifth of a second.

They order, and the run's own thread acts. An order is one ``append``: no lock is taken that an interrupt
of whoever orders could leave behind.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable

from ..launch.resources import Resources
from ..plan import Plan
from .heard import Heard
from .interrupts import Flag

LISTEN_S = 0.05  # how often the run's thread looks for orders


class Hands(Heard):
    """Stops, slows and signals ranks."""

    _resources: Resources

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.marks: list[tuple[float, int, str]] = []
        self.started = Flag()  # the workers run, or the run is over
        self.done = Flag()
        self._orders: deque[tuple[int, str, Callable[[], None], Flag]] = deque()
        self._factors: dict[int, float] = {}  # by rank, where it has not been told yet

    def stop(self, reason: str, wait: bool = True) -> None:
        """End the run now, and (if told) wait until its processes are gone."""
        self._stop_reason = self._stop_reason or reason
        if wait:
            self.done.wait()

    def signal(self, rank: int, number: int, mark: str) -> None:
        """Send a signal to a rank's process, through its parent: a process id is never reused so."""
        self._order(rank, mark, lambda: self._resources.run.send(rank, number))

    def slow(self, rank: int, factor: float) -> None:
        """Make a rank's compute spans take ``factor`` times as long from now on."""
        self._order(rank, f"slow x{factor:g}", lambda: self._factors.update({rank: factor}))

    def _order(self, rank: int, mark: str, act: Callable[[], None]) -> None:
        """Have this done and marked once the ranks are there; nothing where the run is over."""
        carried_out = Flag()
        self._orders.append((rank, mark, act, carried_out))
        while not (carried_out.wait(LISTEN_S) or self.done.is_set()):
            continue

    def _carry_out(self) -> None:
        """Act on what has been ordered, in the run's thread."""
        while self.pids and self._orders:
            rank, mark, act, carried_out = self._orders.popleft()
            with contextlib.suppress(OSError):  # the server is gone: the run is about to end
                act()
            now = time.monotonic()
            self.marks.append((now - (self.origin or now), rank, mark))  # at 0 while ranks still load
            carried_out.set()
        self._factors = {rank: f for rank, f in self._factors.items() if not self._told(rank, "slow", f)}

    def _told(self, rank: int, *message: object) -> bool:
        """Send ``rank`` a message; whether it could be sent: a rank that is paused reads none."""
        channel = self._resources.controls[rank]
        if not channel.has_room():
            return False
        with contextlib.suppress(OSError):  # that rank is gone; its exit says why
            channel.send(*message)
        return True

    def _over_with(self) -> None:
        self.done.set()
        self.started.set()
