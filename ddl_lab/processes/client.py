"""The caller's end of the fork server: started once, asked for every run, restarted where it died."""

from __future__ import annotations

import atexit
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

from ..errors import LabError
from .channel import Channel
from .forkserver import send_fds

_PATIENCE_S = 2.0  # how long a server that has loaded may take to respond
_LOOK_MS = 50  # how often a caller that waits for the server looks whether it is still wanted
_ENTRY = "from ddl_lab.processes.forkserver import main; main()"


class ForkServer:
    """The process that forks this process's workers."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._ready = False
        self._owner = 0  # the pid that started it: a fork of the caller starts its own
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The server's process id, None where none runs."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def warm_up(self) -> None:
        """Start the server if there is none, without waiting for it to load torch."""
        with self._lock:
            self._ensure()

    def _ensure(self) -> None:
        if self._owner == os.getpid() and self.pid is not None:
            return
        self.close()
        ours, theirs = socket.socketpair()
        package_root = str(Path(__file__).parents[2])
        paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
        quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        # macOS refuses forks of processes with frameworks loaded unless told that it is meant
        mac = {"OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"} if sys.platform == "darwin" else {}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _ENTRY, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | quiet | mac | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        theirs.close()
        self._channel, self._ready, self._owner = Channel(ours), False, os.getpid()

    def launch(self, spec: dict[str, Any], fds: list[int], given_up: Callable[[], bool]) -> int | None:
        """Fork ``spec["nodes"]`` workers that inherit ``fds``; the first of them is the run's channel.

        Returns the server's process id once it has them; None if ``given_up`` says meanwhile that nobody
        waits. A server that doesn't respond then is ended.
        Raises ``LabError`` where the server can't be started.
        """
        with self._lock:
            for attempt in (1, 2):
                try:
                    self._ensure()
                    assert self._channel is not None and self._process is not None
                    if not self._ready and not self._hear(given_up, 0.0):
                        return None
                    self._ready = True
                    self._channel.send(spec | {"fds": len(fds)})
                    send_fds(self._channel.sock, fds)
                    if self._hear(given_up, _PATIENCE_S):
                        return self._process.pid
                    self._process.kill()
                    self.close()
                    return None
                except OSError as error:  # it died since the last run: start another
                    self.close()
                    if attempt == 2:
                        raise LabError(f"the fork server could not be started: {error}") from error
            return None

    def _hear(self, given_up: Callable[[], bool], patience_s: float) -> bool:
        """Wait for the server's next byte; not for longer than ``patience_s`` once ``given_up`` says so."""
        assert self._channel is not None
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        until = time.monotonic() + patience_s
        while not poll.poll(_LOOK_MS):
            if given_up() and time.monotonic() > until:
                return False
        if not self._channel.sock.recv(1):
            raise ConnectionResetError("it ended; if it had a message, that is above")
        return True

    def discard(self, pid: int | None) -> None:
        """Kill the server with this process id, which no longer responds; its workers go with it."""
        with self._lock:
            if self._process is not None and self._process.pid == pid:
                self._process.kill()
                self.close()

    def close(self) -> None:
        """End the server and every worker it still has."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None and self._owner == os.getpid():
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._channel = self._process = None


SERVER = ForkServer()
atexit.register(SERVER.close)
