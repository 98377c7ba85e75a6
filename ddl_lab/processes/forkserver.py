"""The fork server: a process that has torch loaded and forks workers in milliseconds.

It runs no user code and no torch operation, so that its children start clean; it never touches
``__main__``. It is its own session: a Ctrl-C meant for the kernel does not reach it. It ends when its
caller ends, and a run's workers end when the run's socket closes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import sys
import traceback
from typing import Any

from .channel import Channel

FDS_A_MESSAGE = 200  # the kernel passes at most 253 at a time


def receive_fds(sock: socket.socket, count: int) -> list[int]:
    """``count`` file descriptors that the other end sent, in batches of ``FDS_A_MESSAGE``."""
    fds: list[int] = []
    while len(fds) < count:
        data, some, _, _ = socket.recv_fds(sock, 1, FDS_A_MESSAGE)
        if not data:
            raise ConnectionResetError("the caller ended while it asked for a run")
        fds += some
    return fds


def send_fds(sock: socket.socket, fds: list[int]) -> None:
    """The other half of ``receive_fds``."""
    for i in range(0, len(fds), FDS_A_MESSAGE):
        socket.send_fds(sock, [b"f"], fds[i : i + FDS_A_MESSAGE])


class Server:
    """Serves launch requests on one socket until it closes."""

    def __init__(self, sock: socket.socket) -> None:
        self.requests = Channel(sock)
        self.folders: dict[Channel, str] = {}  # a run's private folder, gone with the run
        self.selector = selectors.DefaultSelector()
        self.selector.register(sock, selectors.EVENT_READ, self._request)
        self.children: dict[int, tuple[Channel, int]] = {}  # pid -> (the run's channel, rank)
        self._watch_children()

    def _watch_children(self) -> None:
        read, write = socket.socketpair()
        write.setblocking(False)
        read.setblocking(False)
        self._wakeup = write
        signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._bell = read
        self.selector.register(read, selectors.EVENT_READ, self._reap)

    def serve(self) -> None:
        """Run until the caller is gone, then end all workers."""
        while True:
            for key, _ in self.selector.select():
                if key.data() == "closed":
                    for pid in self.children:
                        os.kill(pid, signal.SIGKILL)
                    for folder in self.folders.values():
                        shutil.rmtree(folder, ignore_errors=True)
                    return

    def _request(self) -> str | None:
        launch = self.requests.receive()
        if launch is None:
            return "closed"
        (spec,) = launch
        fds = receive_fds(self.requests.sock, spec["fds"])
        run = Channel(socket.socket(fileno=fds[0]))
        if spec["folder"]:
            self.folders[run] = spec["folder"]
        pids = []
        for rank in range(spec["nodes"]):
            try:
                pid = os.fork()
            except OSError as error:
                run.send("fork failed", rank, str(error))
                break
            if pid == 0:
                self._become_worker(rank, spec, run, fds[1:])
            self.children[pid] = (run, rank)
            pids.append(pid)
        for fd in fds[1:]:
            os.close(fd)
        run.send("pids", pids)
        self.selector.register(run.sock, selectors.EVENT_READ, lambda: self._order(run))
        return None

    def _become_worker(self, rank: int, spec: dict[str, Any], own: Channel, fds: list[int]) -> None:
        """In the child: drop what is the server's, run the worker, never return."""
        from . import child

        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._wakeup.close()
            self.selector.close()
            self.requests.close()
            for run in {own, *(run for run, _ in self.children.values())}:
                run.close()
            child.main(rank, spec, fds)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(70)

    def _order(self, run: Channel) -> None:
        """An order about a run's workers, or its end."""
        orders, is_open = run.arrived()
        for rank, number in orders:
            for pid in self._pids(run, rank):
                os.kill(pid, number)
        if not is_open:
            for pid in self._pids(run, None):
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.folders.pop(run, ""), ignore_errors=True)
            self.selector.unregister(run.sock)
            run.close()

    def _pids(self, run: Channel, rank: int | None) -> list[int]:
        return [p for p, (r, k) in self.children.items() if r is run and rank in (None, k)]

    def _reap(self) -> None:
        self._bell.recv(4096)
        for pid in list(self.children):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                run, rank = self.children.pop(pid)
                try:
                    run.send("exit", rank, os.waitstatus_to_exitcode(status))
                except OSError:  # the caller closed the run: it does not want to know
                    continue


def main() -> None:
    """Entry point: ``python -m ddl_lab.processes.forkserver FD``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sock = socket.socket(fileno=int(sys.argv[1]))
    import torch

    torch.set_num_threads(1)  # no parallel region, hence no threads, before the forks
    from ..data import load_digits
    from . import child  # noqa: F401  (loaded here once, not in each worker)

    with contextlib.suppress(OSError, ValueError):  # a worker that needs them will say so
        load_digits()
    with contextlib.suppress(BrokenPipeError):  # the caller ended before it asked for anything
        sock.sendall(b"!")
        Server(sock).serve()


if __name__ == "__main__":
    main()
