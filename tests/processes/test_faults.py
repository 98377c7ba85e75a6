"""Whatever befalls a rank, in whatever state: the run ends in an error that names it, and nothing stays."""

import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
import torch
from faulty import (
    COLLECTIVES,
    FUZZ,
    Loading,
    die,
    die_while_moving,
    end_by_time,
    hold,
    is_blocked,
    is_stopped,
    let_go,
    make,
    nothing_stays_behind,
    quietly,
    started,
    transport,
)
from waiting import PATIENCE_S, wait_until

import ddl_lab as lab
from ddl_lab.errors import Wait
from ddl_lab.processes.launch.client import SERVER
from ddl_lab.processes.transports.board import BLOCKED, Status
from ddl_lab.processes.watch.diagnosis import slow_report
from ddl_lab.processes.watch.supervisor import Supervisor

assert nothing_stays_behind and transport  # fixtures
VICTIMS = [0, 2]
CALLS = ["send", "recv", *COLLECTIVES]


def killed(run, rank, how="was killed by SIGKILL"):
    """See ``run`` end with the death of ``rank``."""
    assert run._supervisor.done.wait(PATIENCE_S)
    with pytest.raises(lab.WorkerError, match=f"^rank {rank} {how}") as caught:
        run.wait()
    assert caught.value.rank == rank
    assert run.done
    return caught.value.history


# a rank is killed


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_while_it_computes(transport, victim):
    def worker(node):
        node.record(at=1)
        if node.rank == victim:
            hold()
        node.barrier()

    run = started(worker, transport=transport)
    wait_until(lambda: len(run.history.metrics) == 3)
    run.kill(victim)
    assert len(killed(run, victim).metrics) == 3, "the history so far is kept"


@pytest.mark.parametrize("call", CALLS)
def test_killed_while_it_waits_in_a_call(transport, call):
    victim = 0 if call == "send" else 2

    def worker(node):
        if node.rank != victim:
            hold()
        make(node, call)

    run = started(worker, transport=transport)
    wait_until(lambda: is_blocked(run, victim, call))
    os.kill(run.pids[victim], signal.SIGKILL)
    killed(run, victim)


MOVING = [("send", 0), ("recv", 2)]
if FUZZ:
    MOVING += [(call, victim) for call in COLLECTIVES for victim in VICTIMS]
else:
    MOVING += zip(COLLECTIVES, VICTIMS * len(COLLECTIVES), strict=False)


@pytest.mark.parametrize(("call", "victim"), MOVING)
def test_killed_while_bytes_move(transport, call, victim):
    """Its peers lose it in the middle of a transfer: over gloo they see a broken connection."""

    def worker(node):
        node.barrier()
        if node.rank == victim:
            die_while_moving(node, call)
        make(node, call)

    killed(started(worker, transport=transport), victim)


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_while_it_loads_and_the_others_wait_for_it(transport, victim, tmp_path):
    run = started(lambda node, _: None, transport=transport, args=(Loading(tmp_path),))
    let_go(run, tmp_path, {0, 1, 2} - {victim})
    os.kill(run.pids[victim], signal.SIGKILL)
    killed(run, victim)


class Fatal:
    def __reduce__(self):
        die()
        return ()


def test_killed_while_it_sends_its_result(transport):
    fatal = Fatal

    def worker(node):
        return fatal() if node.rank == 1 else node.rank

    run = started(worker, transport=transport)
    killed(run, 1)
    assert run.history.results[1] is None


def test_killed_after_it_returned_its_result_counts_and_the_others_go_on(transport, tmp_path):
    go_on = tmp_path / "go on"

    def worker(node):
        pair = node.group([0, 2]) if node.rank != 1 else None
        while node.rank != 1 and not go_on.exists():
            time.sleep(0.005)
        tensor = torch.ones(LARGE_RESULT)
        if pair:
            pair.all_reduce(tensor)
        return tensor.sum()

    run = started(worker, transport=transport)
    wait_until(lambda: 1 in run._supervisor.finished)
    os.kill(run.pids[1], signal.SIGKILL)
    wait_until(lambda: 1 in run._supervisor._deaths)
    go_on.touch()
    assert run.wait().results == [2 * LARGE_RESULT, LARGE_RESULT, 2 * LARGE_RESULT]


LARGE_RESULT = 500_000


def test_the_rank_that_died_is_named_and_not_one_that_had_to_be_killed_after_it(transport):
    """Rank 0 does not hear that the run is over: it must be killed, and is not to blame."""

    def worker(node):
        if node.rank == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        node.recv(torch.ones(1), 0)

    run = started(worker, transport=transport)
    wait_until(lambda: run.pids and is_stopped(run.pids[0]) and is_blocked(run, 1) and is_blocked(run, 2))
    os.kill(run.pids[2], signal.SIGTERM)
    killed(run, 2, "was killed by SIGTERM")


# a rank is stopped


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("state", ["compute", "barrier", "recv"])
def test_a_stopped_rank_is_named_when_the_time_is_over(transport, victim, state, tmp_path):
    go_on = tmp_path / "go on"
    other = 1

    def worker(node):
        node.record(at=1)
        while node.rank != victim and not go_on.exists():
            time.sleep(0.005)
        if state == "recv" and node.rank == victim:
            node.recv(torch.ones(1), other)
        elif state == "recv" and node.rank == other:
            node.send(torch.ones(1), victim)
        elif state == "compute" and node.rank == victim:
            hold()
        node.barrier()
        node.barrier()

    run = started(worker, transport=transport, timeout_s=600)
    wait_until(lambda: len(run.history.metrics) == 3)
    wait_until(lambda: state == "compute" or is_blocked(run, victim, state))
    run.pause(victim)
    wait_until(lambda: is_stopped(run.pids[victim]))
    go_on.touch()
    wait_until(lambda: all(is_blocked(run, rank) for rank in {0, 1, 2} - {victim}))
    end_by_time(run)
    told = rf"timeout_s=600:\n  rank {victim} is stopped \(SIGSTOP\)(.|\n)*others wait for rank {victim}\."
    with pytest.raises(lab.StoppedRun, match=told) as caught:
        run.wait()
    assert len(caught.value.history.metrics) == 3


def test_a_rank_that_loads_without_end_is_named_when_the_time_is_over(transport, tmp_path):
    run = started(lambda node, _: None, transport=transport, args=(Loading(tmp_path),), timeout_s=600)
    let_go(run, tmp_path, {0, 2})
    end_by_time(run)
    with pytest.raises(lab.StoppedRun, match=r"600:\n  rank 1 starts: it loads(.|\n)*wait for rank 1\."):
        run.wait()


def test_a_rank_that_was_called_and_sleeps_on_is_named():
    """Where the system does not tell that a process is stopped, the record in its inbox does."""
    seen = [Status(rank, 1, BLOCKED, 0.0, Wait(rank, "barrier()", (2,))) for rank in range(12)]
    report = slow_report(seen, [rank != 9 for rank in range(12)], [], 5)
    assert report.splitlines()[1] == "  rank 9 waits in barrier(), was called and does not respond"
    assert report.endswith("… and 4 more ranks\n  The others wait for rank 9.")


@pytest.mark.parametrize(
    ("later", "version", "deaf"), [(False, 1, True), (True, 1, False), (False, 2, False)]
)
def test_a_rank_that_wakes_up_a_moment_later_is_not_called_deaf(later, version, deaf):
    def seen(now):
        return [Status(rank, now, BLOCKED, 0.0, Wait(rank, "barrier()", (1 - rank,))) for rank in range(2)]

    looks, quiets = [seen(1), seen(version)], [[True, False], [True, later]]
    watcher = SimpleNamespace(
        _look=lambda: looks.pop(0), _quiet=lambda: quiets.pop(0), pids=[], plan=SimpleNamespace(timeout_s=5)
    )
    assert ("does not respond" in Supervisor._slow(watcher)) is deaf


# a worker misbehaves


def prints_without_end(node):
    while node.rank:
        print("x" * 1000)


def prints_a_line_without_end(node):
    while node.rank:
        print("x" * 1000, end="")


def warns_without_end(node):
    import warnings

    warnings.simplefilter("always")
    while node.rank:
        warnings.warn(str(node.now()), stacklevel=1)


@pytest.mark.parametrize("worker", [prints_without_end, prints_a_line_without_end, warns_without_end])
def test_output_without_end_neither_floods_nor_hangs(worker, capsys):
    run = lab.start(worker, 2, timeout_s=600)
    wait_until(lambda: run._supervisor.finished)
    wait_until(lambda: worker is prints_a_line_without_end or len(run._supervisor.printed) > 100)
    end_by_time(run)
    with pytest.raises(lab.StoppedRun, match=r"rank 1 computes"):
        run.wait()
    assert len(capsys.readouterr().out) < 2_000_000


def test_what_a_worker_forks_ends_with_the_run(transport):
    def worker(node):
        forked = os.fork()
        if forked == 0:
            hold()
        node.barrier()
        return forked

    pids = quietly(worker, 2, transport).results
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


def test_a_fork_that_goes_on_as_if_it_were_the_rank_changes_nothing(transport):
    def worker(node):
        os.fork()
        node.record(at=1)
        tensor = torch.ones(3)
        node.all_reduce(tensor)
        print("once", flush=True)
        return tensor.tolist()

    history = quietly(worker, 2, transport)
    assert history.results == [[2.0] * 3] * 2 and len(history.metrics) == 2


def test_a_worker_may_use_processes_and_threads_of_its_own(transport):
    def worker(node):
        import multiprocessing
        import subprocess

        threading.Thread(target=hold, daemon=False).start()
        with multiprocessing.get_context("fork").Pool(1) as pool:
            square = pool.apply(pow, (node.rank + 2, 2))
        shell = subprocess.run(["echo", "hello"], capture_output=True, text=True, check=True)
        node.barrier()
        return square, shell.stdout

    assert quietly(worker, 2, transport).results == [(4, "hello\n"), (9, "hello\n")]


def test_what_one_worker_does_to_its_process_stays_there(transport):
    def worker(node):
        if node.rank == 0:
            os.chdir("/")
            os.environ["DDL_LAB_TEST"] = "changed"
            sys.path.clear()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        node.barrier()
        return os.getcwd(), "DDL_LAB_TEST" in os.environ

    here = os.getcwd()
    assert quietly(worker, 2, transport).results == [("/", True), (here, False)]
    assert os.getcwd() == here and "DDL_LAB_TEST" not in os.environ


def raises(node):
    raise ValueError("no")


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        (raises, "raised ValueError: no"),
        (lambda node: sys.exit(3), "raised SystemExit: 3"),
        (lambda node: os._exit(0), "ended its process with exit code 0: a worker returns"),
        (lambda node: os._exit(3), "ended its process with exit code 3: a worker returns"),
        (lambda node: os.abort(), "was killed by SIGABRT"),
        # gloo's own thread may abort first
        (lambda node: os.closerange(3, 1000), "(ended and could not tell why|was killed by SIGABRT)"),
        (lambda node: os.killpg(0, signal.SIGKILL), "was killed by SIGKILL"),
        (lambda node: threading.Lock(), "raised CaptureError: rank 1 returned .*lock"),
        (lambda node: (k for k in range(3)), "raised CaptureError: rank 1 returned .*generator"),
        (lambda node: Unreadable(), "returned something that can't be rebuilt .*ValueError: not here"),
        (lambda node: input(), "raised RuntimeError: a rank has no keyboard"),
    ],
)
def test_a_deed_of_one_worker_is_named_with_its_rank(transport, deed, told):
    def worker(node):
        node.record(at=1)
        return deed(node) if node.rank == 1 else node.rank

    with pytest.raises(lab.WorkerError, match=f"^rank 1 {told}") as caught:
        quietly(worker, 2, transport)
    assert caught.value.rank == 1 and caught.value.history.results[1] is None


class Unreadable:
    def __reduce__(self):
        return _refuse, (os.getpid(),)


def _refuse(made_by):
    if made_by != os.getpid():
        raise ValueError("not here")


# memory


@pytest.mark.parametrize("kind", ["tensor", "list"])
def test_a_rank_out_of_memory_is_named(transport, kind):
    def worker(node):
        import resource

        if node.rank == 1:
            used = psutil.Process().memory_info().vms
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**25, used + 2**25))
            torch.ones(10**9) if kind == "tensor" else [0] * 10**9
        node.barrier()

    with pytest.raises(lab.WorkerError, match=r"^rank 1 raised (MemoryError|RuntimeError.*memory)"):
        quietly(worker, 2, transport)


# many


def test_many_runs_in_a_row_grow_neither_memory_nor_descriptors(transport):
    used, most = [], 300 if FUZZ else 150
    for k in range(most):
        quietly(lambda node: node.all_reduce(torch.ones(10)), 2, transport)
        if k >= 50:
            processes = [psutil.Process(), psutil.Process(SERVER.pid)]
            used.append([(p.memory_info().rss, p.num_fds()) for p in processes])
    for process, of_process in zip(processes, zip(*used, strict=True), strict=True):
        rss, files = zip(*of_process, strict=True)
        least = min(files[:10])  # the last run's may just not be closed yet
        wait_until(lambda p=process, n=least: p.num_fds() <= n, f"descriptors grew from {least}")
        growth = (sum(rss[-50:]) - sum(rss[:50])) / 50 / (most - 100)  # bytes a run
        assert growth < 8_000, f"{growth:.0f} bytes a run"
