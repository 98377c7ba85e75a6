"""Whatever a worker has forked, and whoever is killed: no process stays, and no file."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from faulty import alive, hold, nothing_stays_behind, quietly, started, transport, wait_until

import ddl_lab as lab
from ddl_lab.processes.launch.client import SERVER

assert nothing_stays_behind and transport  # fixtures
ROOT = Path(__file__).parents[3]
LINUX = sys.platform == "linux"
IN_SESSION = ("fork", "program", *["group"] * LINUX)  # what stays in the fork server's session
LEFT_IT = ("session", "daemon") if LINUX else ()  # elsewhere nobody takes these in, nor a group of its own
linux = pytest.mark.skipif(not LINUX, reason="elsewhere the server outlives a guardian that is killed")


def offspring(node):
    """Start a process in every way there is, and record their ids."""
    waits = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    forked = os.fork()
    if forked == 0:
        hold()
    node.record(
        fork=forked,
        program=subprocess.Popen(waits).pid,
        group=subprocess.Popen(waits, process_group=0).pid,
        session=subprocess.Popen(waits, start_new_session=True).pid,
        daemon=daemon(),
    )


def daemon():
    """Fork twice, so that the process between has ended: the one that stays has no parent of its own."""
    read, write = os.pipe()
    between = os.fork()
    if between == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(write, str(os.getpid()).encode())
            hold()
        os._exit(0)
    os.waitpid(between, 0)
    return int(os.read(read, 20))


def holds(node):
    offspring(node)
    hold()


def forked_by(history, names=(*IN_SESSION, *LEFT_IT)):
    return [int(pid) for name in names for pid in history.metrics[name]]


def going_on(worker=holds, transport="shm"):
    """A run of two ranks that have forked, and the processes that they have forked, all alive."""
    run = started(worker, 2, transport, timeout_s=60)
    wait_until(lambda: len(run.history.metrics) == 2)
    pids = forked_by(run.history)
    assert len(alive(pids)) == len(pids) == 2 * len((*IN_SESSION, *LEFT_IT))
    return run, pids


# the end of a run


def returns(node):
    offspring(node)


def raises(node):
    offspring(node)
    raise ValueError("no")


def dies(node):
    offspring(node)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("worker", [returns, raises, dies])
def test_when_a_run_is_over_nothing_is_left_that_a_worker_has_started(transport, worker):
    try:
        history = quietly(worker, 1, transport)
    except lab.WorkerError as error:
        history = error.history
    pids = forked_by(history)
    assert pids and alive(pids) == []


def test_a_stopped_run_leaves_nothing_that_a_worker_has_started(transport):
    run, pids = going_on(transport=transport)
    run.stop()
    assert alive(pids) == []


def test_what_a_worker_has_started_lives_as_long_as_the_worker():
    """Also one whose own parent has ended; the end of another run does not touch it."""
    run, pids = going_on()
    quietly(returns, 2)
    assert alive(pids) == pids
    run.stop()
    assert alive(pids) == []


# the fork server or its guardian is killed


@pytest.mark.parametrize(
    "victims", [("server",), pytest.param(("guardian",), marks=linux), ("server", "guardian")]
)
def test_when_the_fork_server_is_killed_what_workers_have_started_ends(transport, victims):
    run, pids = going_on(transport=transport)
    strays = forked_by(run.history, LEFT_IT) if len(victims) == 2 else []  # these nobody can find any more
    servers = {"server": SERVER.pid, "guardian": SERVER.guardian}
    for victim in victims:
        os.kill(servers[victim], signal.SIGKILL)
    with pytest.raises(lab.LabError, match="the fork server ended, and its workers with it"):
        run.wait()
    wait_until(lambda: not alive({*pids, *run.pids, *servers.values()} - {*strays}))
    for pid in strays:
        os.kill(pid, signal.SIGKILL)


@linux
def test_a_guardian_killed_between_runs_takes_the_server_with_it_and_the_next_run_starts_another():
    quietly(returns, 1)
    server, guardian = SERVER.pid, SERVER.guardian
    os.kill(guardian, signal.SIGKILL)
    wait_until(lambda: not alive([server]))
    assert quietly(lambda node: node.rank, 2).results == [0, 1]
    assert SERVER.guardian != guardian


@pytest.mark.parametrize("who", ["server", "guardian"])
def test_a_fork_server_told_to_end_ends_all_it_has(who):
    run, pids = going_on()
    os.kill(getattr(SERVER, {"server": "pid"}.get(who, who)), signal.SIGTERM)
    with pytest.raises(lab.LabError, match="the fork server ended"):
        run.wait()
    assert alive([*pids, *run.pids]) == []


# the caller is killed as well

SCRIPT = """
    import os, sys, time
    sys.path[:0] = {path!r}
    if {folder!r}:
        vars(os).pop("memfd_create", None)  # a system without it
    import test_guardian as tests
    run, pids = tests.going_on(transport="gloo")
    print(tests.SERVER.guardian, tests.SERVER.pid, *run.pids, *pids, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("folder", [False, True] if LINUX else [True])
@pytest.mark.parametrize("victim", ["nobody else", "server", pytest.param("guardian", marks=linux)])
def test_a_killed_caller_leaves_no_process_and_no_file_even_if_another_is_killed_with_it(
    victim, folder, tmp_path
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = [str(ROOT), str(ROOT / "tests/helpers"), str(Path(__file__).parent)]
    code = SCRIPT.format(path=path, folder=folder)
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(code))
    environ = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environ) as caller:
        try:
            pids = [int(pid) for pid in caller.stdout.readline().split()]
            assert len(alive(pids)) == len(pids) == 4 + 2 * len((*IN_SESSION, *LEFT_IT))
            assert len(list(temporary.iterdir())) == folder
            for pid in {"guardian": pids[:1], "server": pids[1:2]}.get(victim, []):
                os.kill(pid, signal.SIGKILL)
        finally:
            caller.kill()
    wait_until(lambda: not alive(pids), "a process stays")
    wait_until(lambda: not list(temporary.iterdir()), "a file stays")


# what a worker must not load


def test_a_worker_finds_what_it_needs_loaded(transport):
    """What the fork server hasn't loaded every rank would load anew, in every run."""
    code = "import sys; from ddl_lab.processes.launch import forkserver; forkserver.preload(); "
    code += "print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(shown.stdout.split())

    def worker(node):
        node.barrier()
        return set(sys.modules)

    own = {name for name in quietly(worker, 2, transport).results[0] if name.startswith(("ddl_lab", "torch"))}
    assert len(own) > 500 and own <= loaded


def test_a_worker_that_loads_the_digits_starts_no_fork_server_of_its_own():
    def worker(node):
        lab.load_digits()
        return [child.cmdline() for child in psutil.Process().children()]

    assert quietly(worker, 2).results == [[], []]


def test_the_guardian_is_small_and_sleeps():
    """It stays for as long as the kernel: it has loaded no torch."""
    guardian = psutil.Process(SERVER.guardian)
    used = sum(guardian.cpu_times()[:2])
    quietly(returns, 2)
    time.sleep(0.05)
    assert guardian.memory_info().rss < 60e6 and sum(guardian.cpu_times()[:2]) == used
