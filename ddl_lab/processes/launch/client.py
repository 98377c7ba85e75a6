"""The caller's end of the fork server: started once, asked for every run, restarted where it died.

The process that is started is the server's guardian, which forks it and waits for its end.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...counted import counted
from ...errors import LabError
from .channel import REPLY, Channel, send_fds
from .guardian import end_session
from .resources import MORE_FILES, mend

_PATIENCE_S = 2.0  # how long a server that has loaded may take to respond
_END_S = 5.0  # how long it and its guardian may take to end
_LOOK_MS = 50  # how often a caller that waits for the server looks whether it is still wanted
_ENTRY = "from ddl_lab.processes.launch.forkserver import main; main()"


class ForkServer:
    """The process that forks this process's workers."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None  # the guardian
        self._channel: Channel | None = None
        self._server: int | None = None  # the server's process id, once it has loaded
        self._owner = 0  # the pid that started it: a fork of the caller starts its own
        self.eager = True  # whether to start it before the first run; not so in a worker
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The server's process id, its guardian's while it loads; None where none runs."""
        return self.guardian and (self._server or self.guardian)

    @property
    def guardian(self) -> int | None:
        """The process id of the server's guardian, None where none runs."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def warm_up(self) -> None:
        """Start the server if there is none and this is no worker, without waiting for it to load torch."""
        if self.eager:
            with self._lock:
                self._ensure()

    def _ensure(self) -> None:
        if self._owner == os.getpid() and self.guardian is not None:
            return
        self.close()
        ours, theirs = socket.socketpair()
        package_root = str(Path(__file__).parents[3])
        paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
        quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        # macOS refuses forks of processes with frameworks loaded unless told that it is meant
        mac = {"OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"} if sys.platform == "darwin" else {}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _ENTRY, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",  # the caller's may be deleted, now or later
            env=os.environ | quiet | mac | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        theirs.close()
        self._channel, self._server, self._owner = Channel(ours), None, os.getpid()

    def launch(self, spec: dict[str, Any], fds: list[int], given_up: Callable[[], bool]) -> int | None:
        """Fork ``spec["nodes"]`` workers that inherit ``fds``; the first of them is the run's channel.

        Returns the guardian's process id once the server has them; None if ``given_up`` says meanwhile that
        nobody waits. A server that doesn't respond then is ended.
        Raises ``LabError`` where the server can't be started, or may not open that many files.
        """
        with self._lock:
            for attempt in (1, 2):
                try:
                    self._ensure()
                    return self._ask(spec, fds, given_up)
                except OSError as error:  # it died since the last run: start another
                    self.close()
                    if attempt == 2:
                        said = f"the fork server could not be started: {error}.{mend(error)}"
                        raise LabError(said) from error
            return None

    def _ask(self, spec: dict[str, Any], fds: list[int], given_up: Callable[[], bool]) -> int | None:
        assert self._channel is not None and self._process is not None
        self._server = self._server or self._hear(given_up, 0.0)
        if self._server is None:
            return None
        self._channel.send(spec | {"fds": len(fds)})
        send_fds(self._channel.sock, fds)
        limit = self._hear(given_up, _PATIENCE_S)
        if limit is None:
            self.close(0.0)
            return None
        if limit:
            raise LabError(
                f"no resources for {counted(spec['nodes'], 'process', 'processes')}: the fork server has too "
                f"few file descriptors left: its limit is {limit} open files, and this run needs "
                f"{len(fds)} more. {MORE_FILES}"
            )
        return self._process.pid

    def _hear(self, given_up: Callable[[], bool], patience_s: float) -> int | None:
        """The server's next number; None if it takes longer than ``patience_s`` once ``given_up`` says so."""
        assert self._channel is not None
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        until = time.monotonic() + patience_s
        while not poll.poll(_LOOK_MS):
            if given_up() and time.monotonic() > until:
                return None
        data = self._channel.sock.recv(REPLY.size, socket.MSG_WAITALL)
        if len(data) < REPLY.size:
            raise ConnectionResetError("it ended; if it had a message, that is above")
        return int(REPLY.unpack(data)[0])

    def discard(self, guardian: int | None) -> None:
        """End the server with this guardian, which no longer responds; its workers go with it."""
        with self._lock:
            if self._process is not None and self._process.pid == guardian:
                self.close(0.0)

    def see_off(self, guardian: int) -> None:
        """The server with this guardian has ended during a run: see to it that all it has left is gone."""
        process = self._process
        if process is not None and process.pid == guardian:  # else it has been replaced, and seen off before
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        end_session(guardian)

    def close(self, patience_s: float = _END_S) -> None:
        """End the server and every worker it still has, by force after ``patience_s``."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None and self._owner == os.getpid():
            _end(self._process, patience_s)
        self._channel = self._process = self._server = None


def _end(guardian: subprocess.Popen[bytes], patience_s: float) -> None:
    """Wait for the guardian's end; then have it kill the server; then kill it, and with it its session."""
    try:
        guardian.wait(patience_s)
        return
    except subprocess.TimeoutExpired:
        guardian.terminate()
    try:
        guardian.wait(_END_S)
    except subprocess.TimeoutExpired:
        end_session(guardian.pid)
        guardian.wait()


SERVER = ForkServer()
atexit.register(SERVER.close)
