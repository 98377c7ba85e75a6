"""What a run's caller has heard from the workers and their server, and what it means."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from ...counted import counted
from ...errors import Failure, LabError, StoppedRun, worker_error
from ...history.recorder import Recorder
from ..plan import Plan
from .diagnosis import death_error


class Heard:
    """Everything that has been said of one run. ``_on_…`` take the messages, by their first word."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.nodes = plan, plan.nodes
        self.recorders = [Recorder() for _ in range(plan.nodes)]
        self.results: dict[int, bytes] = {}
        self.finished: dict[int, float] = {}
        self.printed: deque[tuple[int, str, str]] = deque()
        self.pids: list[int] = []
        self.error: LabError | None = None
        self.failed_s: float | None = None  # when a worker failed, once the run is over
        self.origin: float | None = None  # time.monotonic of the common start
        self._failures: list[tuple[float, int, Failure]] = []
        self._gone: set[int] = set()  # ranks whose processes have ended
        self._deaths: dict[int, tuple[int, float]] = {}  # those that nobody ended: exit codes, and when
        self._expected = plan.nodes  # processes to see gone
        self._stopping = False
        self._stop_reason: str | None = None

    # the workers

    def _on_packet(self, rank: int, packet: Any) -> None:
        self.recorders[rank].absorb(packet)

    def _on_print(self, rank: int, stream: str, text: str) -> None:
        self.printed.append((rank, stream, text))

    def _on_returned(self, rank: int, ended_s: float, data: bytes) -> None:
        self.results[rank] = data
        self.finished[rank] = ended_s

    def _on_failed(self, rank: int, failure: Failure, when: float) -> None:
        self._failures.append((when, rank, failure))

    # their server

    def _on_pids(self, pids: list[int]) -> None:
        self.pids, self._expected = pids, len(pids)

    def _on_refused(self, why: str) -> None:
        self.error = LabError(
            f"no resources for {counted(self.nodes, 'process', 'processes')}: {why}. Try fewer nodes."
        )

    def _on_exit(self, rank: int, code: int) -> None:
        """A process has ended by itself."""
        self._gone.add(rank)
        if code or not self._stopping:
            self._deaths[rank] = code, self._clock(time.monotonic())

    def _on_ended(self, rank: int, code: int) -> None:
        """A process has ended because we said so."""
        self._gone.add(rank)

    def verdict(self) -> LabError | None:
        """The error that the end of this run means: the earliest failure, a death, a stop, or none."""
        lost = [f for f in self._failures if f[2].kind == "lost"]  # a cause only where there is no other
        deaths = [(rank, *told) for rank, told in self._deaths.items() if rank not in self.finished]
        failures = [f for f in self._failures if f not in lost] or ([] if deaths else lost)
        if failures:
            when, rank, failure = min(failures, key=lambda f: f[:2])
            return worker_error(rank, failure, self._clock(when))
        for rank, code, at_s in deaths:
            return death_error(rank, code, self.plan, at_s)
        return StoppedRun(self._stop_reason) if self._stop_reason else None

    def _clock(self, when: float) -> float:
        """``when``, which is ``time.monotonic``'s, on the run's clock; its begin where that has none yet."""
        return self.plan.began_s if self.origin is None else max(when - self.origin, self.plan.began_s)
