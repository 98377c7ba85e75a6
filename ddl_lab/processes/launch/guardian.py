"""The guardian: the fork server's parent, which ends whatever the server leaves behind.

    caller -> guardian -> fork server -> workers -> what they fork

Any of them may be killed at any moment, and nothing below it may stay. On Linux workers are killed with the
server, and the server ends all it has when the guardian is gone; each of the three takes in the orphans
among its descendants, so what a worker has forked comes to the server when its worker is gone, and to the
guardian when the server is gone, whatever group or session it has made. Elsewhere, and where guardian and
server are killed at once, a group for each worker and a session for all must do: what has left them stays, as
does, everywhere, what others have started for a worker (a daemon that it asked, ``sudo``).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import sys
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LINUX = sys.platform == "linux"
_THREADS = Path("/proc/self/task")


def die_with(parent: int, number: int = signal.SIGKILL) -> None:
    """On Linux, have this process sent a signal when its parent ends; elsewhere it sees to that itself."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it has ended before the line above
        os._exit(0)


def adopt_orphans() -> None:
    """On Linux, become the parent of each descendant whose own parent ends; its forks don't inherit this."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def guard(sock: socket.socket) -> int:
    """Fork the server, and stay behind as its guardian: returns in the server alone.

    The server has ``sock`` to itself, and writes folders to the descriptor that it gets, a zero byte after
    each: they go when it has ended. A SIGTERM to the guardian ends them both, and all below.
    """
    guardian = os.getpid()
    read, folders = os.pipe()
    adopt_orphans()
    server = os.fork()
    if server == 0:
        os.close(read)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # as long as it loads
        die_with(guardian, signal.SIGTERM)
        return folders
    signal.signal(signal.SIGTERM, lambda *_: os.kill(server, signal.SIGKILL))
    sock.close()
    os.close(folders)
    _clean_up_after(read)


def _clean_up_after(read: int) -> NoReturn:
    """Wait for the server's end, which closes its end of the pipe; then end what it has left."""
    named = b""
    while part := os.read(read, 4096):
        named += part
    end_children() if _LINUX else end_session(os.getpid())
    for folder in named.split(b"\0")[:-1]:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def end_children(but: Collection[int] = ()) -> None:
    """Kill this process's children except ``but``, and the orphans that they leave to it, until none is left.

    A program that has taken another user's rights (``sudo``) can't be killed, and stays.
    """
    spared = set(but)
    while found := _children() - spared:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                spared.add(pid)
        for pid in found - spared:
            os.waitpid(pid, 0)


def _children() -> set[int]:
    """This process's children; none where it may open no file to look: the next look finds them."""
    try:
        lists = [Path(_THREADS, thread, "children").read_text() for thread in os.listdir(_THREADS)]
    except FileNotFoundError:  # a system without these lists, or a thread that has just ended
        import psutil

        return {process.pid for process in psutil.Process().children()}
    except OSError:
        return set()
    return {int(pid) for text in lists for pid in text.split()}


def end_session(session: int) -> None:
    """Kill the processes of a session, this one excepted: its number is not used again while one lives."""
    import psutil

    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if pid != os.getpid() and os.getsid(pid) == session:
                os.kill(pid, signal.SIGKILL)
