"""Stop at any moment, a fork server or a caller that is killed, no files, memory or disk left."""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
from faulty import (
    FUZZ,
    TRANSPORTS,
    Loading,
    hold,
    is_stopped,
    loading,
    nothing_stays_behind,
    quietly,
    started,
    transport,
)
from waiting import PATIENCE_S, wait_until

import ddl_lab as lab
from ddl_lab.processes import run as running
from ddl_lab.processes.launch import client, resources
from ddl_lab.processes.launch.client import SERVER

assert nothing_stays_behind and transport  # fixtures
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and limits of other processes")
ROOT = Path(__file__).parents[2]


# the Stop button: SIGINT to the caller


@pytest.fixture
def interrupted(monkeypatch):
    """A run in the foreground, interrupted whenever one of ``moments`` has come."""
    begin = running.Run._begin

    def interrupt_when(moments, worker, *args, **options):
        def begun(run):
            begin(run)
            threading.Thread(target=watch, args=(run,), daemon=True).start()
            return run

        def watch(run):
            for moment in moments:
                wait_until(lambda moment=moment: moment(run))
                os.kill(os.getpid(), signal.SIGINT)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt) as caught:
            patched.setattr(running.Run, "_begin", begun)
            quietly(worker, *args, **options)
        return caught.value.history

    return interrupt_when


def stopped_rank(node):
    node.record(at=1)
    if node.rank == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    hold()


def test_stop_while_the_fork_server_loads(interrupted, transport):
    SERVER.close()
    interrupted([lambda run: SERVER.pid is not None], stopped_rank, 2, transport)
    assert SERVER.pid is not None and SERVER._server is None, "it did not wait for torch"


def test_stop_while_ranks_load(interrupted, transport, tmp_path):
    seen = []

    def all_load(run):
        seen[:] = run.pids
        return bool(seen) and all((tmp_path / str(pid)).exists() for pid in seen)

    interrupted([all_load], lambda node, _: None, 2, transport, args=(Loading(tmp_path),))
    assert len(seen) == 2 and not any(psutil.pid_exists(pid) for pid in seen)


@pytest.mark.parametrize("as_well", [False, True])
def test_stop_while_ranks_run_and_again_while_they_end(interrupted, transport, as_well):
    """Rank 1 does not hear of the end: there is time for a second click, and a third."""

    def runs(run):
        return len(run.history.metrics) == 2 and is_stopped(run.pids[1])

    def ends(run):
        return run._supervisor._stopping

    history = interrupted([runs, ends, *[heard] * as_well], stopped_rank, 2, transport)
    assert len(history.metrics) == 2


def heard(run):
    """The last click has arrived."""
    time.sleep(0.05)
    return True


def test_a_second_stop_while_a_started_run_is_waited_for(transport):
    run = started(stopped_rank, 2, transport)
    wait_until(lambda: len(run.history.metrics) == 2 and is_stopped(run.pids[1]))

    def click():
        os.kill(os.getpid(), signal.SIGINT)
        wait_until(lambda: run._supervisor._stopping)
        os.kill(os.getpid(), signal.SIGINT)

    clicks = threading.Timer(0.1, click)
    clicks.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        run.wait()
    clicks.join()
    assert run.done and len(caught.value.history.metrics) == 2


def test_a_caller_that_may_have_no_more_threads(transport, monkeypatch):
    def refused(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        with pytest.raises(lab.LabError, match="no resources for 2 processes: can't start new thread"):
            quietly(lambda node: None, 2, transport)


# the fork server is killed


STATES = [("loading", "shm"), ("running", "gloo"), ("stopped", "shm")]

if FUZZ:
    STATES = [(state, transport) for state, _ in STATES for transport in TRANSPORTS]


@pytest.mark.parametrize(("state", "transport"), STATES)
def test_the_fork_server_killed_during_a_run(transport, state, tmp_path):
    def worker(node, *_):
        stopped_rank(node) if state == "stopped" else hold()

    args = (Loading(tmp_path),) if state == "loading" else ()
    run = started(worker, 2, transport, args=args)
    if state == "loading":
        loading(run, tmp_path)
    wait_until(lambda: state == "loading" or run._supervisor.started.is_set())
    wait_until(lambda: state != "stopped" or is_stopped(run.pids[1]))
    pids = run.pids
    os.kill(SERVER.pid, signal.SIGKILL)
    with pytest.raises(lab.LabError, match="the fork server ended, and its workers with it"):
        run.wait()
    wait_until(lambda: SERVER.pid is None and not any(psutil.pid_exists(pid) for pid in pids))


def test_the_fork_server_killed_between_runs_and_while_it_loads():
    for _ in range(2):
        os.kill(SERVER.pid, signal.SIGKILL)
        wait_until(lambda: SERVER.pid is None)
        assert quietly(lambda node: node.rank, 2).results == [0, 1]
    SERVER.close()
    run = started(lambda node: node.rank, 2)
    wait_until(lambda: SERVER.pid)
    os.kill(SERVER.pid, signal.SIGKILL)
    assert run.wait().results == [0, 1], "it was started once more"


def test_a_fork_server_that_does_not_respond_is_replaced(monkeypatch):
    server = SERVER.pid
    os.kill(server, signal.SIGSTOP)
    wait_until(lambda: is_stopped(server))
    with monkeypatch.context() as patched:
        patched.setattr(client, "_PATIENCE_S", 0.2)
        run = started(lambda node: node.rank, 2)
        wait_until(SERVER._lock.locked)
        run.stop()
    assert not psutil.pid_exists(server)


# the kernel is killed

SCRIPT = """
    import os, sys, time
    sys.path[:0] = {path!r}
    import faulty
    from faulty import lab, SERVER, Loading, loading, hold, wait_until

    def forks(node):
        if os.fork() == 0:
            open(os.path.join({folder!r}, f"fork-{{os.getpid()}}"), "w")
        hold()

    args = (Loading({folder!r}),) if {state!r} == "loading" else ()
    run = lab.start((lambda node, _: hold()) if args else forks, 2, transport={transport!r}, args=args)
    if args:
        loading(run, {folder!r})
    else:
        wait_until(lambda: len(os.listdir({folder!r})) == 2)
    print(SERVER.pid, *run.pids, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(("state", "transport"), [("loading", "gloo"), ("running", "shm")])
def test_a_killed_caller_leaves_nothing(state, transport, tmp_path):
    folder, temporary = tmp_path / "seen", tmp_path / "temporary"
    folder.mkdir(), temporary.mkdir()
    path = [str(ROOT), str(ROOT / "tests/helpers")]
    script = tmp_path / "script.py"
    code = SCRIPT.format(path=path, folder=str(folder), state=state, transport=transport)
    script.write_text(textwrap.dedent(code))
    environ = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environ) as caller:
        pids = [int(pid) for pid in caller.stdout.readline().split()]
        pids += [int(path.name.partition("-")[2]) for path in folder.glob("fork-*")]
        assert len(pids) == (3 if state == "loading" else 5), "server, workers, and what they forked"
        assert all(psutil.pid_exists(pid) for pid in pids)
        assert len(list(temporary.iterdir())) == (sys.platform != "linux")
        caller.kill()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "a process stays")
    wait_until(lambda: not list(temporary.iterdir()), "a file stays")


# nothing left: files, memory, disk


def limit_with(pid, free):
    """The limit of files with which a process may open ``free`` more; new ones take the lowest numbers."""
    used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
    return next(n for n in range(10_000) if n - sum(fd < n for fd in used) == free and n not in used)


@linux
def test_no_descriptor_left_at_any_point_of_the_start(transport, monkeypatch):
    monkeypatch.setattr(resources, "allow_files", lambda count: None)  # which raises the limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    outcomes = []
    for free in range(1, 60):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit_with(os.getpid(), free), hard))
        try:
            outcomes.append(quietly(lambda node: None, 2, transport).results)
        except lab.LabError as error:
            outcomes.append(str(error))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if outcomes[-1] == [None, None]:
            break
    assert outcomes[-1] == [None, None] and len(outcomes) > 5
    assert all(re.search(r"Too many open files.*ulimit -n", told) for told in outcomes[:-1]), outcomes


@linux
def test_a_fork_server_without_descriptors_says_so_and_serves_on(transport):
    server = SERVER.pid
    limit = resource.prlimit(server, resource.RLIMIT_NOFILE)
    told = r"too few file descriptors left: .*limit is \d+ .* needs 12 .*Try fewer nodes, or .*\(ulimit -n"

    def refused(free):
        resource.prlimit(server, resource.RLIMIT_NOFILE, (limit_with(server, free), limit[1]))
        try:
            quietly(lambda node: None, 2, transport)
        except lab.LabError as error:
            assert re.search(told, str(error)), error
            return True
        finally:
            resource.prlimit(server, resource.RLIMIT_NOFILE, limit)
        return False  # it was about to close what the run before had left: then it had more than ``free``

    for free in (0, 1, 2, 5, 11):
        wait_until(lambda free=free: refused(free), "it was not refused")
    assert quietly(lambda node: node.rank, 2, transport).results == [0, 1] and SERVER.pid == server


def test_no_shared_memory_left(transport, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "memfd_create", full)
        with pytest.raises(lab.LabError, match=r"no resources for 2 processes: .*No space left.*Try fewer"):
            quietly(lambda node: None, 2, transport)


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 64 kB; where none can be mounted the test is skipped."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_shared_memory_on_a_full_disk(tiny_disk, monkeypatch):
    """Where there are no anonymous files (macOS): too large a worker is refused, a rank's death named."""
    large = torch.ones(100_000)
    with monkeypatch.context() as patched:
        patched.delattr(os, "memfd_create", raising=False)
        patched.setattr(tempfile, "tempdir", str(tiny_disk))
        with pytest.raises(lab.LabError, match=r"no resources for 2 processes: .*No space left"):
            quietly(lambda node: large.sum(), 2)
        with pytest.raises(lab.WorkerError, match=r"rank \d was killed by SIGBUS \(shared memory"):
            quietly(lambda node: node.all_reduce(torch.ones(100_000)), 2)


def history():
    return lab.simulate(lambda node: torch.rand(50_000), 2)


def save_both(folder):
    """Save a history and its trace, of 400 and of some 200 kB; returns what was refused."""
    made = history()
    for k in range(1000):
        made.recorders[0].span("compute", k, k + 1)
    refused = []
    for save, name in [(made.save, "run.npz"), (made.save_trace, "run.json")]:
        (folder / name).write_text("older")
        with pytest.raises(OSError) as caught:
            save(folder / name)
        refused.append(str(caught.value))
    return refused


def test_a_full_disk_while_saving_leaves_the_older_files_alone(tiny_disk):
    refused = save_both(tiny_disk)
    assert all("No space left" in told and "run." in told for told in refused), refused
    assert {path.name: path.read_text() for path in tiny_disk.iterdir()} == {
        "run.npz": "older",
        "run.json": "older",
    }


def test_a_file_that_may_not_grow_while_saving_leaves_the_older_files_alone(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        refused = save_both(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert all("File too large" in told for told in refused)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.npz"]


def test_a_saved_history_is_as_private_as_the_user_has_it(tmp_path):
    modes = []
    for mask in (0o077, 0o022):
        before = os.umask(mask)
        modes.append(history().save(tmp_path / f"{mask}").stat().st_mode & 0o777)
        os.umask(before)
    assert modes == [0o600, 0o644]


# all of it, by chance


def test_runs_with_a_random_fault_each_leave_nothing():
    """Faults strike at a random moment of a short run, start and end included; the seed is fixed."""
    chance = random.Random(0)
    for _ in range(100 if FUZZ else 25):
        nodes, moment = chance.randint(1, 4), chance.uniform(0, 0.1)
        strike(chance, nodes, chance.choice(TRANSPORTS), moment, chance.randrange(nodes))


def strike(chance, nodes, transport, moment, victim):
    inner = chance.choice(["raise", "exit", "_exit", "kill", "stop", "fork", "none"])
    outer = chance.choice(["kill", "stop", "pause", "drop", "server", "none", "none"])
    run = lab.start(busy, nodes, transport=transport, args=(inner, victim), timeout_s=1.0, progress=False)
    time.sleep(moment)
    if outer == "server":
        os.kill(SERVER.pid, signal.SIGKILL)
    elif outer in ("kill", "pause"):
        getattr(run, outer)(victim)
    elif outer == "stop":
        run.stop()
    elif outer == "drop":
        supervisor = run._supervisor
        del run
        supervisor.done.wait(PATIENCE_S)
        assert supervisor.done.is_set()
        return
    try:
        assert len(run.wait().results) == nodes
    except (lab.StoppedRun, lab.WorkerError) as error:
        assert "rank" in str(error) or outer == "stop", str(error)
    except lab.LabError as error:
        assert outer == "server" and "fork server" in str(error), str(error)


def busy(node, inner, victim):
    deeds = {
        "raise": lambda: 1 / 0,
        "exit": lambda: sys.exit(1),
        "_exit": lambda: os._exit(1),
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
        "fork": os.fork,
        "none": lambda: None,
    }
    for step in range(4):
        node.record(step_of_mine=step)
        if step == 2 and node.rank == victim:
            deeds[inner]()
        node.all_reduce(torch.ones(300_000))
        if node.world_size > 1:
            box = torch.ones(10)
            handle = node.isend(box, (node.rank + 1) % node.world_size)
            node.recv(torch.ones(10), (node.rank - 1) % node.world_size)
            handle.wait()
