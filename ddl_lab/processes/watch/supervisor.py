"""The supervisor of a run: a thread that hears its workers, finds deadlocks, and ends them always."""

from __future__ import annotations

import contextlib
import functools
import os
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ...counted import counted
from ...errors import LabError
from ...travel.frames import working_folder
from ..launch.client import SERVER
from ..launch.output import Written
from ..launch.resources import Resources
from ..plan import Plan, workers_environ
from ..transports.board import Status
from ..transports.wire import waiting_bytes
from .diagnosis import deadlock, slow_report
from .hands import LISTEN_S, Hands

_SCAN_S = 0.1  # how often the board is read
_WAKE_S = 0.1  # within which a rank that sleeps hears that it was called, on a busy machine too
_GRACE_S = 0.3  # how long a stopped worker may take to send its last records
_GONE_S = 10.0  # how long a killed process may take to be gone


class Supervisor(Hands, threading.Thread):
    """Launches a run's workers and follows them to their end; ``done`` is set when all are gone."""

    def __init__(self, payload: bytes, plan: Plan, holder: Callable[[], Any]) -> None:
        threading.Thread.__init__(self, daemon=True, name="ddl_lab run")
        Hands.__init__(self, plan)
        self.startup_s = 0.0
        self._open = plan.nodes  # workers that may still say something
        self._guardian: int | None = None  # the fork server's, once that has the run
        self._server_ended = False
        self._ready = 0
        self._seen: list[Status] = []
        self._called = time.monotonic()
        self._payload = payload
        self._holder = holder  # a weak reference: whose run it is

    def _spec(self) -> dict[str, Any]:
        # looking before sleeping pays with a core a rank; gloo's own threads need theirs
        own_cores = self.nodes <= available_cores()
        return {
            "plan": self.plan,
            "nodes": self.nodes,
            "spin": own_cores and self.plan.transport == "shm" and self.plan.cluster is None,
            "folder": self._resources.folder,
            "environ": workers_environ(),
            "path": list(sys.path),
            "cwd": working_folder(),
        }

    def start(self) -> None:
        """Start the thread. Raises ``LabError`` where this process may have no more of them."""
        try:
            super().start()
        except RuntimeError as error:
            self._over_with()
            said = f"no resources for {counted(self.nodes, 'process', 'processes')}: {error}."
            raise LabError(
                f"{said} End other programs or kernels of yours, or ask for more tasks."
            ) from error

    def run(self) -> None:
        """The thread: launch, follow, end. All of it is here, where no Ctrl-C can cut it short."""
        try:
            self._resources = Resources(self.nodes, self.plan.transport, self._payload)
            try:
                self._guardian = SERVER.launch(self._spec(), self._resources.fds, self._over)
                if self._guardian is not None:
                    self._resources.sent()
                    self._follow()
                self.error = self.error or self.verdict()
                self.failed_s = getattr(self.error, "at_s", None)
            finally:
                self._resources.close()
        except LabError as error:
            self.error = error
        except Exception as error:
            self.error = LabError(f"the run's supervisor failed: {type(error).__name__}: {error}")
            self.error.__cause__ = error
        finally:
            self._over_with()

    def _follow(self) -> None:
        selector = selectors.DefaultSelector()
        hear_server = functools.partial(self._on_server, selector)
        selector.register(self._resources.run, selectors.EVENT_READ, hear_server)
        written = [self._written(rank, fd) for rank, fd in enumerate(self._resources.outputs)]
        for output in written:
            selector.register(output, selectors.EVENT_READ, functools.partial(_read, output, selector))
        for rank, channel in enumerate(self._resources.controls):
            hear = functools.partial(self._on_worker, rank, selector)
            selector.register(channel, selectors.EVENT_READ, hear)
        next_scan = time.monotonic() + _SCAN_S
        with selector:
            while not self._over():
                self._hear(selector, LISTEN_S)
                self._carry_out()
                if time.monotonic() >= next_scan:
                    self._look_for_deadlock()
                    for output in written:
                        output.look()
                    next_scan = time.monotonic() + _SCAN_S
            self._end_processes(selector)
        for output in written if not self._stop_reason else ():  # a library may complain that it was stopped
            output.finish()

    def _written(self, rank: int, fd: int) -> Written:
        return Written(fd, functools.partial(self._on_print, rank, "stdout"))

    def _hear(self, selector: selectors.BaseSelector, timeout_s: float) -> None:
        for key, _ in selector.select(timeout_s):
            key.data()

    def _over(self) -> bool:
        if self._holder() is None:
            self._stop_reason = "dropped: nobody holds this run any more"
        if self.plan.timeout_s and time.monotonic() - self._called > self.plan.timeout_s:
            self._stop_reason = self._stop_reason or self._slow()
        crashed = any(rank not in self.finished for rank in self._deaths)
        ended = len(self.finished) == self.nodes
        return bool(ended or crashed or self._failures or self._stop_reason or self.error)

    def _slow(self) -> str:
        seen, quiet = self._look(), self._quiet()
        if not all(quiet):  # a rank that has just been called needs a moment to wake up
            time.sleep(_WAKE_S)
            later = zip(seen, quiet, self._look(), self._quiet(), strict=True)
            quiet = [was or still or before != now for before, was, now, still in later]
        return slow_report(seen, quiet, self.pids, self.plan.timeout_s or 0.0)

    def _look(self) -> list[Status]:
        return [self._resources.board.read(rank) for rank in range(self.nodes)]

    def _quiet(self) -> list[bool]:
        """By rank: whether nobody has called it that it did not hear."""
        return [waiting_bytes(fd) == 0 for fd in self._resources.inboxes]

    def _on_server(self, selector: selectors.BaseSelector) -> None:
        messages, is_open = self._resources.run.arrived()
        for what, *told in messages:
            getattr(self, f"_on_{what}")(*told)
        if not is_open:
            selector.unregister(self._resources.run)
            self._server_ended = True
            self.error = self.error or LabError(
                "the fork server ended, and its workers with it; the next run starts a new one."
            )

    def _on_worker(self, rank: int, selector: selectors.BaseSelector) -> None:
        channel = self._resources.controls[rank]
        messages, is_open = channel.arrived()
        for message in messages:
            getattr(self, f"_on_{message[0]}")(rank, *message[1:])
        if not is_open:
            self._open -= 1
            selector.unregister(channel)

    def _on_ready(self, rank: int) -> None:
        self._ready += 1
        if self._ready == self.nodes:
            now = time.monotonic()
            self.startup_s = now - self._called
            self.origin = now - self.plan.began_s
            self._tell("go", self.origin)
            self.started.set()

    def _tell(self, *message: Any) -> None:
        for rank in range(self.nodes):
            self._told(rank, *message)

    def _look_for_deadlock(self) -> None:
        before, quiet = self._seen, self._quiet()
        self._seen = self._look()  # after the inboxes: who has read one in between is not as it was before
        if before and self.origin is not None:
            self.error = self.error or deadlock(before, self._seen, quiet)

    def _end_processes(self, selector: selectors.BaseSelector) -> None:
        """Let all ranks send their last records, then end them and see them gone."""
        self._stopping = True
        self._tell("stop")
        began = time.monotonic()
        killed = False
        while not self._all_gone() and time.monotonic() < began + _GONE_S:
            if not killed and time.monotonic() > began + _GRACE_S:
                killed = True
                with contextlib.suppress(OSError):  # no server: its workers died with it
                    self._resources.run.send(None, signal.SIGKILL)
            self._hear(selector, 0.02)
        if self._server_ended and self._guardian is not None:
            SERVER.see_off(self._guardian)
        elif not self._all_gone():
            SERVER.discard(self._guardian)

    def _all_gone(self) -> bool:
        if self._server_ended:  # the workers with it
            return self._open == 0
        return len(self._gone) == self._expected


def _read(output: Written, selector: selectors.BaseSelector) -> None:
    if not output.read():  # all that could write are gone
        selector.unregister(output)


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
