"""What tests of lab.frameworks are run with: a small environment of MPI, interrupts, and who is there."""

import contextlib
import functools
import os
import signal
import stat
import threading
from pathlib import Path

import psutil
import pytest
from classroom import pip_works
from faulty import alive, descendants
from waiting import eventually

from ddl_lab.errors import LabError
from ddl_lab.frameworks import installing, running
from ddl_lab.frameworks.environments import ENVIRONMENTS

OWN = Path(__file__).parents[2] / ".frameworks"  # a place for MPI where the machine has none for all


@pytest.fixture(autouse=True, scope="module")
def place():
    """Where environments lie: as whoever looks after this machine has it, else in this folder."""
    with pytest.MonkeyPatch.context() as patched:
        if not os.environ.get("DDL_LAB_FRAMEWORKS"):
            patched.setenv("DDL_LAB_FRAMEWORKS", str(OWN))
        yield


@functools.cache
def _with_mpi():
    try:
        installing.install(ENVIRONMENTS["mpi"], agreed=lambda question: True)
    except installing.CantInstall as error:
        return str(error)
    return ""


@pytest.fixture
def mpi(place):
    """MPI, installed if it isn't. Where pip reaches nothing the test skips; where it does, it fails."""
    why = _with_mpi()
    if why and "pip couldn't" in why and pip_works():
        pytest.fail(f"pip works here, but {why}")
    if why:
        pytest.skip(why)


def interrupted(run, nodes, monkeypatch):
    """(folder, pids): run ``run``, and press Ctrl-C once all ranks train; who was there then.

    Skips where it never comes to that: Ray gives its own node 30 s to start, which a busy machine may not.
    """
    told, write = [], running.write_task
    monkeypatch.setattr(
        running, "write_task", lambda folder, epochs: told.append(folder) or write(folder, epochs)
    )
    there, failed = [], []

    def all_train():
        return told and len(list(told[0].glob("began-*"))) == nodes

    def press():
        if eventually(lambda: failed or all_train(), 240) and not failed:
            there.extend(descendants(os.getpid()))
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises((KeyboardInterrupt, LabError)) as ended:
        run()
    failed += [ended.value] if isinstance(ended.value, LabError) else []
    finger.join()
    if failed:
        assert not descendants(os.getpid()) and not marked(told[0]) and not told[0].exists()
        pytest.skip(f"it never trained here: {str(ended.value).splitlines()[-1].strip()}")
    return told[0], there


def nobody(pids):
    """Whether none of these processes lives, and none of this one's children does."""
    return not alive(pids) and not descendants(os.getpid())


def hidden(top):
    """What another user could not read, or not enter, below ``top`` and it itself."""
    paths = [Path(top), *Path(top).rglob("*")]
    asked = {path: 0o555 if path.is_dir() else 0o444 for path in paths if not path.is_symlink()}
    return [path for path, bits in asked.items() if stat.S_IMODE(path.stat().st_mode) & bits != bits]


def marked(folder):
    """All processes of this machine that were started for the run whose folder this is, wherever they are."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("DDL_LAB_TASK") == str(folder):
                found.append(process.pid)
    return found
