"""The fork server: a process that has torch loaded and forks workers in milliseconds.

It runs no user code and no torch operation, so that its children start clean; it never touches
``__main__``. It is of a session of its own: a Ctrl-C meant for the kernel does not reach it. It ends when
its caller ends, and a run's workers end when the run's socket closes. What it leaves is its guardian's.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import selectors
import shutil
import signal
import socket
import sys
import traceback
from typing import Any

from .channel import REPLY, UNHEARD, Channel, receive_fds
from .guardian import adopt_orphans, end_children, guard


class Server:
    """Serves launch requests on one socket until it closes."""

    def __init__(self, sock: socket.socket, notes: int) -> None:
        self.requests = Channel(sock)
        self.notes = notes  # what is written here the guardian removes in the end
        self.folders: dict[Channel, str] = {}  # a run's private folder, gone with the run
        self.selector = selectors.DefaultSelector()
        self.selector.register(sock, selectors.EVENT_READ, self._request)
        self.children: dict[int, tuple[Channel, int]] = {}  # pid -> (the run's channel, rank)
        self.ended: set[int] = set()  # those that the caller has told us to end
        self.leaving = False
        self._watch_children()

    def _watch_children(self) -> None:
        read, write = socket.socketpair()
        write.setblocking(False)
        read.setblocking(False)
        self._wakeup = write
        signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._leave)
        self._bell = read
        self.selector.register(read, selectors.EVENT_READ, self._on_bell)

    def _leave(self, *_: Any) -> None:
        self.leaving = True

    def serve(self) -> None:
        """Run until the caller or the guardian is gone, then end all workers."""
        while not self.leaving:
            for key, _ in self.selector.select():
                key.data()
        for run in {run for run, _ in self.children.values()}:
            self._end(run)

    def _request(self) -> None:
        launch = self.requests.receive()
        if launch is None:
            self._leave()
            return
        (spec,) = launch
        fds = receive_fds(self.requests.sock, spec["fds"])
        enough = len(fds) == spec["fds"]
        with contextlib.suppress(OSError):  # the caller is gone: the next look at its socket shows it
            self._reply(0 if enough else resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        if enough:
            self._start(spec, fds)
        else:
            _close(fds)

    def _reply(self, number: int) -> None:
        self.requests.sock.sendall(REPLY.pack(number))

    def _start(self, spec: dict[str, Any], fds: list[int]) -> None:
        run = Channel(socket.socket(fileno=fds[0]))
        if spec["folder"]:
            self.folders[run] = spec["folder"]
            with contextlib.suppress(OSError):  # the guardian is gone: the folder goes with the run alone
                os.write(self.notes, os.fsencode(spec["folder"]) + b"\0")
        try:
            self._fork(spec, run, fds[1:])
        finally:
            _close(fds[1:])
        self.selector.register(run.sock, selectors.EVENT_READ, lambda: self._order(run))

    def _fork(self, spec: dict[str, Any], run: Channel, fds: list[int]) -> None:
        """Fork the workers of ``run``, each the leader of a process group of its own."""
        server, pids = os.getpid(), []
        for rank in range(spec["nodes"]):
            try:
                pid = os.fork()
            except OSError as error:
                self._tell(run, "refused", f"process {rank} could not be forked: {error.strerror}")
                break
            if pid == 0:
                self._become_worker(server, rank, spec, run, fds)
            with contextlib.suppress(OSError):  # it was faster, and did so itself
                os.setpgid(pid, pid)
            self.children[pid] = (run, rank)
            pids.append(pid)
        self._tell(run, "pids", pids)

    def _tell(self, run: Channel, *message: Any) -> None:
        with contextlib.suppress(OSError):  # the caller closed the run: it does not want to know
            run.send(*message)

    def _become_worker(
        self, server: int, rank: int, spec: dict[str, Any], own: Channel, fds: list[int]
    ) -> None:
        """In the child: drop what is the server's, run the worker, never return."""
        from . import child

        try:
            os.setpgid(0, 0)  # what it forks is in its group, and ends with it
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.close(self.notes)
            self._wakeup.close()
            self.selector.close()
            self.requests.close()
            for run in {own, *(run for run, _ in self.children.values())}:
                run.close()
            child.main(rank, spec, fds, server)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(UNHEARD)

    def _order(self, run: Channel) -> None:
        """An order about a run's workers, or its end."""
        orders, is_open = run.arrived()
        for rank, number in orders:
            if rank is None:
                self._end(run)
            else:
                for pid in self._pids(run, rank):
                    os.kill(pid, number)
        if not is_open:
            self._end(run)
            self.selector.unregister(run.sock)
            run.close()

    def _pids(self, run: Channel, rank: int | None) -> list[int]:
        """The processes of ``run``: that of ``rank``, or all where it is None."""
        return [p for p, (r, k) in self.children.items() if r is run and rank in (None, k)]

    def _end(self, run: Channel) -> None:
        """End what is left of a run, and what its workers have forked; its folder goes after them."""
        self._reap()  # those that died by themselves are told of as such
        pids = self._pids(run, None)
        self.ended.update(pids)
        for pid in pids:
            _kill_group(pid)
        for pid in pids:
            self._bury(pid, os.waitpid(pid, 0)[1])
        shutil.rmtree(self.folders.pop(run, ""), ignore_errors=True)

    def _on_bell(self) -> None:
        self._bell.recv(4096)
        self._reap()

    def _reap(self) -> None:
        for pid in list(self.children):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self._bury(pid, status)
        end_children(but=self.children)  # an orphan that had no time to become ours before

    def _bury(self, pid: int, status: int) -> None:
        """Tell the caller of a worker's end, by itself or as ordered, once what it has forked has ended."""
        _kill_group(pid)
        run, rank = self.children.pop(pid)
        end_children(but=self.children)  # a child of ours that is no worker has lost the one that forked it
        how = "ended" if pid in self.ended else "exit"
        self.ended.discard(pid)
        self._tell(run, how, rank, os.waitstatus_to_exitcode(status))


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _kill_group(pid: int) -> None:
    """Kill a worker and what it has forked, as far as that has not made a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody, or only zombies (macOS)
        os.killpg(pid, signal.SIGKILL)


def preload() -> None:
    """Import all that a worker needs: what is missing here every rank would load anew in every run."""
    import torch

    torch.set_num_threads(1)  # no parallel region, hence no threads, before the forks
    import torch.fx.experimental.symbolic_shapes  # backward from an output that is no loss takes it

    from ...training import loss, model  # noqa: F401
    from ...training.data import load_digits
    from . import child, resources  # noqa: F401

    with contextlib.suppress(OSError, ValueError):  # a worker that needs them will say so
        load_digits()
    gc.collect()
    gc.freeze()  # a worker's collector would look through all of it, and stand still for 0.1 s meanwhile


def main() -> None:
    """Entry point: ``python -m ddl_lab.processes.launch.forkserver FD``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sock = socket.socket(fileno=int(sys.argv[1]))
    notes = guard(sock)
    adopt_orphans()
    preload()
    from ..transports.board import MAX_RANKS
    from .resources import allow_files

    allow_files(4 * MAX_RANKS)  # its own limit: the caller's may have been raised since
    with contextlib.suppress(BrokenPipeError):  # the caller ended before it asked for anything
        sock.sendall(REPLY.pack(os.getpid()))
        Server(sock, notes).serve()


if __name__ == "__main__":
    main()
