"""A process that runs a command and ends all that came of it, whatever sessions those made for themselves.

    python reaper.py LOG COMMAND …

On Linux it is a *subreaper*: what loses its parent down there becomes its child, so nothing gets out of its
sight. Elsewhere it looks every tenth of a second who is there. When the command ends, when its standard
input closes (who started it wants an end, or is gone) or at a SIGTERM, all get SIGTERM, then SIGKILL.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

SET_CHILD_SUBREAPER = 36  # linux/prctl.h
GRACE_S = 3.0  # between asking and killing
LOOK_S = 0.1
BROKEN_OFF = 75  # exit status: ended before the command was through


@contextlib.contextmanager
def over(log: str, command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen]:
    """A process of this file over ``command``, for ``subprocess.Popen``'s ``options``.

    When this is left, whatever the reason, or the process that called it is gone, all of it has ended.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, log, *command],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Stop's SIGINT is the notebook's; all is ended from here
        **options,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()  # at this it ends what is left, also if we are interrupted once more
        process.wait()


def become_subreaper() -> bool:
    """Whether what is orphaned below this process will be its child from now on."""
    if not sys.platform.startswith("linux"):
        return False
    return ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


class Descendants:
    """All processes below this one; where there are no subreapers, those that were seen there once, too."""

    def __init__(self, orphans_come_here: bool) -> None:
        self._orphans_come_here = orphans_come_here
        self._seen: dict[int, psutil.Process] = {}

    def look(self) -> list[int]:
        """Those that are alive now."""
        if self._orphans_come_here:
            return below(os.getpid(), parents())
        for process in psutil.Process().children(recursive=True):
            self._seen.setdefault(process.pid, process)
        self._seen = {pid: process for pid, process in self._seen.items() if _alive(process)}
        return list(self._seen)

    def end(self) -> None:
        """Ask all to end, wait, and kill those that are left, until nobody is."""
        asked: set[int] = set()
        ends_at = time.monotonic() + GRACE_S
        while (there := self.look()) or _bury():
            late = time.monotonic() > ends_at
            for pid in there if late else set(there) - asked:
                asked.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            _bury()
            time.sleep(0.02)


def parents() -> dict[int, int]:
    """pid -> its parent's, of all processes of a Linux machine that are alive."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it ended while we looked
            with open(f"/proc/{name}/stat", encoding="latin-1") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                found[int(name)] = int(parent)
    return found


def below(top: int, parent_of: dict[int, int]) -> list[int]:
    """The processes below ``top``; a living one is never below a dead one, whose children have moved up."""
    children: dict[int, list[int]] = {}
    for pid, parent in parent_of.items():
        children.setdefault(parent, []).append(pid)
    found, waiting = [], [top]
    while waiting:
        mine = children.get(waiting.pop(), [])
        found += mine
        waiting += mine
    return found


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _bury() -> bool:
    """Wait for every child that has ended; whether there are others.

    One that is forked while ``look`` reads may escape it, but it or one above it is this process's child.
    """
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def main(log: str, command: list[str]) -> int:
    """Run ``command``, its output into the file ``log``; its exit status, or ``BROKEN_OFF``."""
    wake, woken = os.pipe()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the notebook's Stop goes to whoever started this
    signal.signal(signal.SIGTERM, lambda *_: os.write(woken, b"."))
    descendants = Descendants(become_subreaper())
    with open(log, "ab") as out:
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        except OSError as error:
            out.write(f"{command[0]}: {error.strerror}\n".encode())
            return 127
    try:
        while child.poll() is None:
            if select.select([sys.stdin, wake], [], [], LOOK_S)[0]:
                return BROKEN_OFF
            descendants.look()
        return child.returncode if child.returncode >= 0 else 128 - child.returncode
    finally:
        descendants.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
