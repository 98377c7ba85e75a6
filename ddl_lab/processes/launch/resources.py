"""The descriptors of one run: made together, sent to the fork server together, closed together."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...counted import counted
from ...errors import LabError
from ..transports.board import Board
from ..transports.shm import ShmEndpoint
from . import memory
from .channel import Channel

MORE_FILES = "Try fewer nodes, or a higher limit of descriptors (ulimit -n 4096) where Python is started."
_PROC = Path("/proc/self/fd")


class Resources:
    """Shared memory, payload, pipes in and out, control sockets, and a file or folder in which ranks meet."""

    def __init__(self, nodes: int, transport: str, payload: bytes) -> None:
        self.nodes = nodes
        self.folder: str | None = None
        self._shown: mmap.mmap | None = None
        self._opened: list[int] = []
        self._ours: list[socket.socket] = []
        if sys.platform == "linux" and not _PROC.exists():
            raise LabError("/proc is not mounted here, and without it no run can follow its processes.")
        allow_files(8 * nodes + 64)
        try:
            with resources_for(nodes):
                self._make(transport, payload)
        except LabError:
            self.close()
            raise

    def _make(self, transport: str, payload: bytes) -> None:
        shared = Board.size(self.nodes) if transport == "gloo" else ShmEndpoint.size(self.nodes)
        self.memory_fd = self._keep(memory.create(shared))
        self._shown = mmap.mmap(self.memory_fd, Board.size(self.nodes))
        self.board = Board(self._shown, self.nodes)
        payload_fd = self._keep(memory.filled(payload))
        store_fd = self._keep(memory.create(0))
        pipes = [self._keep(fd) for _ in range(self.nodes) for fd in os.pipe()]
        self.inboxes = pipes[::2]
        written = [self._keep(fd) for _ in range(self.nodes) for fd in os.pipe()]
        self.outputs = written[::2]  # what goes to the ranks' descriptors 1 and 2
        for fd in self.outputs:
            os.set_blocking(fd, False)
        pairs = [socket.socketpair() for _ in range(self.nodes + 1)]
        self._ours = [ours for ours, _ in pairs]
        theirs = [self._keep(end.detach()) for _, end in pairs]
        self.fds = [theirs[0], self.memory_fd, payload_fd, store_fd, *pipes, *written[1::2], *theirs[1:]]
        self.run = Channel(self._ours[0])
        self.controls = [Channel(sock) for sock in self._ours[1:]]
        if transport != "shm" and not memory.opens_anew():
            self.folder = tempfile.mkdtemp(prefix="ddl_lab_")  # mode 0700

    def _keep(self, fd: int) -> int:
        self._opened.append(fd)
        return fd

    def sent(self) -> None:
        """The workers have their copies: keep only what the supervisor reads."""
        kept = [*self.inboxes, *self.outputs]
        for fd in set(self._opened) - set(kept):
            os.close(fd)
        self._opened = kept

    def close(self) -> None:
        """Close everything; the fork server ends what is still alive."""
        for sock in self._ours:
            sock.close()
        for fd in self._opened:
            os.close(fd)
        self._opened = []
        if self._shown is not None:
            self._shown.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def resources_for(nodes: int) -> Iterator[None]:
    """Raise ``LabError`` where the system has no files or no memory left for a run."""
    try:
        yield
    except OSError as error:
        raise LabError(
            f"no resources for {counted(nodes, 'process', 'processes')}: {error}.{mend(error)}"
        ) from error


def mend(error: OSError) -> str:
    """What to try, in words that follow the ``error``."""
    if error.errno == errno.EFBIG:
        return " A limit on the size of files counts shared memory too: try a higher one (ulimit -f)."
    return f" {MORE_FILES}" if error.errno in (errno.EMFILE, errno.ENFILE) else " Try fewer nodes."


def allow_files(count: int) -> None:
    """Raise this process's own limit on open files where it is too low (256 on macOS)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count + 256:
        wanted = count + 256 if hard == resource.RLIM_INFINITY else min(hard, count + 256)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
