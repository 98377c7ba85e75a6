"""What the tests of faults share: runs that are held in a state until a fault has struck."""

import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import torch
from waiting import wait_until

import ddl_lab as lab
from ddl_lab.processes.launch.client import SERVER
from ddl_lab.processes.transports.board import BLOCKED, STARTING
from ddl_lab.processes.transports.wire import ROOM

TRANSPORTS = ["shm", "gloo"]
COLLECTIVES = ["broadcast", "all_reduce", "reduce_scatter", "all_gather", "barrier"]
COLLECTIVES += ["reduce", "gather", "scatter", "all_to_all"]
FUZZ = bool(os.environ.get("DDL_LAB_FUZZ"))  # ``make fuzz``: the long versions of tests by chance
LARGE = 700_000  # elements: more than one piece, or block


def quietly(worker, nodes=3, transport="shm", **options):
    return lab.run(worker, nodes, transport=transport, progress=False, **options)


def started(worker, nodes=3, transport="shm", **options):
    run = lab.start(worker, nodes, transport=transport, progress=False, **options)
    _runs.append(run)
    return run


_runs = []


def stop_all():
    """End the runs of a test that has failed and left them."""
    while _runs:
        _runs.pop().stop()


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param


@pytest.fixture(autouse=True)
def nothing_stays_behind(tmp_path_factory, monkeypatch):
    """No process, descriptor, named memory or temporary file of a run stays; the next run works."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    quietly(lambda node: None, 1)
    named, files = named_memory(), psutil.Process().num_fds()
    yield
    stop_all()
    assert quietly(lambda node: node.rank, 2).results == [0, 1], "the next run works"
    wait_until(lambda: not descendants(os.getpid()), "a process stays")
    assert psutil.Process().num_fds() <= files
    assert not list(folder.iterdir())
    wait_until(lambda: named_memory() <= named, "named memory stays")


def named_memory():
    """What has a name in shared memory; whoever tests beside this may use some for a moment."""
    return set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()


def status(run, rank):
    """What the board says of a rank; None while the run has none yet."""
    resources = getattr(run._supervisor, "_resources", None)
    return resources and resources.board.read(rank)


def is_blocked(run, rank, call=""):
    seen = status(run, rank)
    return bool(seen and seen.state == BLOCKED and seen.wait.call.startswith(call))


def is_stopped(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() == psutil.STATUS_STOPPED


def end_by_time(run):
    """Let ``timeout_s`` of a run pass now."""
    run._supervisor._called -= run._plan.timeout_s


def descendants(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        servers = (SERVER.pid, SERVER.guardian)
        return [p.pid for p in psutil.Process(pid).children(recursive=True) if p.pid not in servers]
    return []


def alive(pids):
    """Those that run; a killed process whose parent has not looked yet does not."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [pid] if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE else []
    return found


# what workers do


def hold():
    """Compute, until the run is ended."""
    while True:
        time.sleep(0.02)


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def make(node, call):
    """One ``call`` of every rank; in a send or recv, rank 0 sends to each of the others."""
    if call in ("send", "recv"):
        for dst in range(1, node.world_size) if node.rank == 0 else ():
            node.send(torch.ones(LARGE), dst)
        if node.rank:
            node.recv(torch.ones(LARGE), 0)
    elif call == "barrier":
        node.barrier()
    elif call in ("broadcast", "all_reduce"):
        tensor = torch.ones(LARGE)
        node.broadcast(tensor, 1) if call == "broadcast" else node.all_reduce(tensor)
    elif call == "reduce":
        node.reduce(torch.ones(LARGE), 1)
    elif call in ("gather", "scatter", "all_to_all"):
        parts = [torch.ones(LARGE) for _ in range(node.world_size)]
        about = (
            (parts, parts)
            if call == "all_to_all"
            else (torch.ones(LARGE), parts if node.rank == 1 else None, 1)
        )
        getattr(node, call)(*about)
    else:
        n = node.world_size
        big, small = torch.ones(LARGE * n), torch.ones(LARGE)
        node.all_gather(big, small) if call == "all_gather" else node.reduce_scatter(small, big)


def die_while_moving(node, call):
    """Let this process die in ``call``, when its peers have begun to move its bytes."""
    port = node._port
    meet, lay = port.meet, port._lay_ready
    if call == "recv":
        port._fetch = die
    elif call == "send":  # over shm its peer has asked for a piece, over gloo the bytes are on their way
        port._handlers[ROOM] = die
        port._lay_ready = lay if port.lays_ready else lambda message: die(lay(message))
    else:
        port.meet = lambda group, told: die(meet(group, told))


class Loading:
    """An argument that takes its time to load, in each process until it is let go."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return _load, (self.folder,)


def _load(folder):
    here = Path(folder, str(os.getpid()))
    here.touch()
    while here.exists():
        time.sleep(0.005)


def let_go(run, folder, ranks):
    """Let ``ranks`` of a run finish to load, and wait until they are ready."""
    loading(run, folder)
    for rank in ranks:
        Path(folder, str(run.pids[rank])).unlink()
    wait_until(lambda: all(status(run, r).state != STARTING or status(run, r).wait.call for r in ranks))


def loading(run, folder):
    """Wait until all processes of a run load their argument."""
    wait_until(lambda: run.pids and all(Path(folder, str(pid)).exists() for pid in run.pids))
