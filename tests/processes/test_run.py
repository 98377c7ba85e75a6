"""``run`` and ``start``: what fails, fails in words, soon, and leaves nothing behind."""

import io
import os
import re
import signal
import stat
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import psutil
import pytest
import torch
from faulty import end_by_time, is_blocked, named_memory
from waiting import AGES_S, patience, wait_until

import ddl_lab as lab
from ddl_lab.processes.launch import memory
from ddl_lab.processes.launch.client import SERVER
from ddl_lab.processes.launch.resources import Resources

TRANSPORTS = ["shm", "gloo"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param


def quietly(worker, nodes, transport="shm", **options):
    return lab.run(worker, nodes, transport=transport, progress=False, **options)


def workers_of(server_pid):
    """Processes that the fork server still has; zombies count, it reaps them."""
    return psutil.Process(server_pid).children() if server_pid else []


@pytest.fixture(autouse=True)
def nothing_stays_behind(tmp_path_factory, monkeypatch):
    """After every test: no worker, no open descriptor of a run, no private folder; the next run works."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    quietly(lambda node: None, 1)
    before = psutil.Process().num_fds()
    yield
    assert quietly(lambda node: node.rank, 2).results == [0, 1], "the next run works"
    assert workers_of(SERVER.pid) == []
    assert psutil.Process().num_fds() <= before
    assert not list(folder.iterdir())


# errors in words


def test_a_worker_that_raises_is_named_with_its_own_lines_only(transport):
    def helper(x):
        return x @ torch.ones(4)

    def worker(node):
        node.record(loss=node.rank)
        node.barrier()
        if node.rank == 1:
            helper(torch.ones(3))
        node.barrier()

    with pytest.raises(lab.WorkerError) as caught:
        quietly(worker, 3, transport)
    error = caught.value
    assert error.rank == 1 and error.cause_type == "RuntimeError"
    assert "helper(torch.ones(3))" in str(error) and "return x @ torch.ones(4)" in str(error)
    assert "ddl_lab/" not in str(error).replace("ddl_lab/tests", "")
    assert error.history.metrics.loss.tolist() == [0, 1, 2], "the history so far is kept"


def test_an_error_is_told_while_other_ranks_are_deaf(transport):
    def worker(node):
        node.barrier()
        if node.rank == 1:
            raise ValueError("raised")
        time.sleep(AGES_S)

    with patience(), pytest.raises(lab.WorkerError, match="rank 1 raised ValueError: raised"):
        quietly(worker, 3, transport)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_killed_rank_is_named_with_its_signal(transport, number, tmp_path):
    def worker(node):
        node.record(at=node.now())
        if node.rank == 2:
            until_there(tmp_path / "all are heard")
            os.kill(os.getpid(), number)
        node.barrier()

    run = lab.start(worker, 3, transport=transport, progress=False)
    wait_until(lambda: len(run.history.metrics) == 3)
    (tmp_path / "all are heard").touch()
    with pytest.raises(lab.WorkerError, match=rf"rank 2 was killed by {number.name}") as caught:
        run.wait()
    assert caught.value.rank == 2 and len(caught.value.history.metrics) == 3


def until_there(path):
    """What a worker does until the test makes this file."""
    while not path.exists():
        time.sleep(0.005)


@pytest.mark.parametrize("how", ["sys.exit", "os._exit"])
def test_a_worker_that_ends_its_process_is_named(transport, how):
    def worker(node):
        if node.rank == 1:
            (sys.exit if how == "sys.exit" else os._exit)(3)
        node.barrier()

    with pytest.raises(lab.WorkerError, match=r"rank 1 (raised SystemExit|ended its process)") as caught:
        quietly(worker, 2, transport)
    assert caught.value.rank == 1


def test_a_ring_of_sends_is_a_deadlock_that_names_every_wait(transport):
    def worker(node):
        box = torch.ones(2)
        node.send(box, (node.rank + 1) % node.world_size)
        node.recv(box)

    with pytest.raises(lab.DeadlockError) as caught:
        quietly(worker, 3, transport)
    for rank in range(3):
        assert f"rank {rank} waits in send(dst={(rank + 1) % 3}, tag=0)" in str(caught.value)


def test_waiting_for_a_rank_that_returned_is_a_deadlock_while_another_computes(transport):
    def worker(node):
        if node.rank == 1:
            node.barrier()
        elif node.rank == 2:
            time.sleep(AGES_S)

    told = r"rank 1 waits in barrier\(\) \(its 1st collective\), but rank 0 returned"
    with patience(), pytest.raises(lab.DeadlockError, match=told):
        quietly(worker, 3, transport)


def test_ranks_that_wait_for_each_other_are_a_deadlock_while_another_computes(transport):
    def worker(node):
        if node.rank:
            node.send(torch.ones(2), 3 - node.rank)
        time.sleep(AGES_S)

    told = r"^ranks 1 and 2 can never go on:\n"
    with patience(), pytest.raises(lab.DeadlockError, match=told) as caught:
        quietly(worker, 3, transport)
    for rank in 1, 2:
        assert f"rank {rank} waits in send(dst={3 - rank}, tag=0)" in str(caught.value)


def test_a_wait_in_a_group_tells_the_group_and_the_ranks_of_the_run(transport):
    def worker(node):
        if node.rank > 1:
            node.group([2, 3]).recv(torch.ones(1), 3 - node.rank)

    told = r"rank 2 waits in recv\(src=1, tag=0\) in the group of ranks 2, 3: from rank 3\n"
    for engine in (lambda: quietly(worker, 4, transport)), (lambda: lab.simulate(worker, 4)):
        with pytest.raises(lab.DeadlockError, match=told) as caught:
            engine()
        assert "unequal length" not in str(caught.value)


def test_ranks_that_disagree_are_told_which_of_their_collectives_it_was(transport):
    def worker(node):
        for _ in range(5):
            node.barrier()
        node.all_reduce(torch.ones(3 + node.rank))

    for engine in (lambda: quietly(worker, 2, transport)), (lambda: lab.simulate(worker, 2)):
        with pytest.raises(lab.CollectiveMismatch, match="disagree on a collective, the 6th of each:"):
            engine()


def test_a_rank_that_waits_for_one_in_a_collective_waits_in_vain(transport):
    def worker(node):
        if node.rank == 0:
            time.sleep(AGES_S)
        elif node.rank == 1:
            node.recv(torch.ones(1), 2)
        else:
            node.barrier()

    told = r"rank 1 waits in recv\(src=2, tag=0\)\n.*in barrier\(\)"
    with patience(), pytest.raises(lab.DeadlockError, match=told):
        quietly(worker, 3, transport)


def test_waits_that_a_late_rank_can_end_are_no_deadlock(transport):
    def worker(node):
        if node.rank == 0:
            time.sleep(0.8)
            node.send(torch.ones(1), 2)
        elif node.rank == 2:
            node.recv(torch.ones(1), 0)
            node.send(torch.ones(1), 1)
        else:
            node.recv(torch.ones(1))
        for _ in range(2):
            node.barrier()
            time.sleep(0.5 * (node.rank == 1))
        node.all_reduce(torch.ones(1))
        return True

    assert quietly(worker, 3, transport).results == [True] * 3


def test_a_long_computation_is_no_deadlock(transport):
    def worker(node):
        if node.rank == 0:
            time.sleep(1.2)
        node.barrier()
        return True

    assert quietly(worker, 2, transport).results == [True, True]


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        (lambda node: node.all_reduce(torch.ones(3 + (node.rank == 1))), r"float32 \(4,\)"),
        (
            lambda node: node.all_reduce(torch.ones(3).to(torch.float64 if node.rank else torch.float32)),
            "float64",
        ),
        (lambda node: node.all_reduce(torch.ones(3), op="max" if node.rank else "sum"), "op=max"),
        (lambda node: node.broadcast(torch.ones(3), src=node.rank), "src=2"),
        (lambda node: node.barrier() if node.rank else node.all_reduce(torch.ones(2)), r"barrier\(\)"),
    ],
)
def test_a_collective_that_ranks_disagree_on_names_each_ranks_call(transport, calls, told):
    with pytest.raises(lab.CollectiveMismatch, match=told) as caught:
        quietly(calls, 3, transport)
    named = re.findall(r"\d", re.sub(r":.*", "", str(caught.value)))
    assert {"0", "1", "2"} <= set(named)


@pytest.mark.parametrize("late", [lambda: time.sleep(AGES_S), lambda: None])
def test_ranks_that_disagree_are_told_while_another_is_late_or_has_returned(transport, late):
    def worker(node):
        if node.rank == 0:
            late()
        elif node.rank == 1:
            node.barrier()
        else:
            node.all_reduce(torch.ones(3))

    with patience(), pytest.raises(lab.CollectiveMismatch) as caught:
        quietly(worker, 3, transport)
    for line in "rank 0: not there yet", "rank 1: barrier()", "rank 2: all_reduce(op=sum) of float32 (3,)":
        assert f"  {line}\n" in str(caught.value)


def test_a_message_of_another_shape_or_type_names_both(transport):
    def worker(node):
        if node.rank == 1:
            node.send(torch.ones(4), 0)
        else:
            node.recv(torch.ones(3, dtype=torch.float64), 1)

    with pytest.raises(lab.WorkerError, match="expected float64 with 3 elements; rank 1 sent float32 with 4"):
        quietly(worker, 2, transport)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda n: n.send(torch.ones(1), 7), r"send\(dst=7\).*0 to 1"),
        (lambda n: n.send(torch.ones(1), -1), r"send\(dst=-1\)"),
        (lambda n: n.send(torch.ones(1), n.rank), "names the node itself"),
        (lambda n: n.recv(torch.ones(1), "1"), r"recv\(src='1'\)"),
        (lambda n: n.recv(torch.ones(1), 1 - n.rank, tag=-3), "tag=-3"),
        (lambda n: n.broadcast(torch.ones(1), src=2), r"broadcast\(src=2\)"),
        (lambda n: n.all_reduce(torch.ones(1), op="prod"), "op='prod'.*sum, mean, max, min"),
        (lambda n: n.all_reduce(torch.ones(1, dtype=torch.int64), op="mean"), "floating-point"),
        (lambda n: n.all_reduce([1.0]), "torch.Tensor; it got a list"),
        (lambda n: n.all_reduce(torch.ones(1, requires_grad=True) * 2), "autograd graph"),
        (lambda n: n.all_reduce(torch.ones(1).expand(3)), "share memory: give a contiguous"),
        (lambda n: n.recv(torch.ones(2, 1).expand(2, 3), 1 - n.rank), "recv writes.* share memory"),
        (lambda n: n.all_reduce(torch.ones(1, device="meta")), r"move it with \.to"),
        (lambda n: n.all_gather(torch.ones(3), torch.ones(2)), "3 elements, and 2 ranks with 2 each"),
        (lambda n: n.reduce_scatter(torch.ones(2), [torch.ones(2)]), "list of sizes"),
        (lambda n: n.all_reduce(lab.load_digits().train.x), "read-only"),
        (lambda n: n.record(), "got no metric"),
        (lambda n: n.record(step=1), "exists already"),
        (lambda n: n.record(loss=torch.ones(2)), r"shape \(2,\)"),
        (lambda n: n.record(loss="low"), "got a str"),
        (lambda n: n.compute().__enter__(), "one of samples, flops, seconds"),
        (lambda n: n.compute(samples=-1).__enter__(), "samples=-1"),
    ],
)
@pytest.mark.parametrize("engine", ["run", "simulate"])
def test_bad_calls_get_one_sentence_with_value_range_and_mend(engine, call, told):
    run = quietly if engine == "run" else lab.simulate
    with pytest.raises(lab.WorkerError, match=told):
        run(lambda node: call(node), 2)


@pytest.mark.parametrize("engine", ["run", "simulate"])
def test_a_node_call_inside_a_compute_span_is_refused(engine):
    def worker(node):
        with node.compute(samples=1):
            node.barrier()

    with pytest.raises(lab.WorkerError, match=r"inside node\.compute"):
        (quietly if engine == "run" else lab.simulate)(worker, 2)


@pytest.mark.parametrize("nodes", [0, -1, 2.5, "four", True, 10_000_000])
@pytest.mark.parametrize("engine", ["run", "simulate"])
def test_impossible_node_counts_are_refused_with_the_range(engine, nodes):
    with pytest.raises((ValueError, TypeError), match=r"whole number from 1 to [\d,]+, got"):
        (quietly if engine == "run" else lab.simulate)(lambda node: None, nodes)


@pytest.mark.parametrize("engine", ["run", "simulate"])
def test_what_is_no_worker_is_refused(engine):
    run = quietly if engine == "run" else lab.simulate
    with pytest.raises(TypeError, match="must be a function of a node, got 3"):
        run(3, 2)
    with pytest.raises(TypeError, match="takes no node"):
        run(lambda: None, 2)
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"captures `lock` .*create it inside the worker"):
        run(lambda node: lock, 2)


def test_unknown_transports_devices_and_limits_are_refused():
    for options, told in [
        ({"transport": "carrier pigeon"}, "'auto', 'shm', 'gloo'"),
        ({"device": "tpu"}, "device='tpu'"),
        ({"device": torch.device("cuda", 1)}, "device='cuda:1': choose 'cpu', or 'cuda' for the visible"),
        ({"timeout_s": -1}, "timeout_s=-1"),
        ({"args": 3}, "args must be a tuple"),
    ]:
        with pytest.raises((ValueError, TypeError), match=re.escape(told)):
            lab.run(lambda node: None, 2, **options)


def test_a_device_may_be_torchs_own():
    assert quietly(lambda node: str(node.device), 1, device=torch.device("cpu")).results == ["cpu"]


def test_a_time_limit_names_the_rank_that_does_not_respond(transport):
    def worker(node):
        if node.rank == 1:
            time.sleep(AGES_S)
        node.barrier()

    run = lab.start(worker, 3, transport=transport, timeout_s=AGES_S, progress=False)
    wait_until(lambda: is_blocked(run, 0) and is_blocked(run, 2))
    end_by_time(run)
    with pytest.raises(lab.StoppedRun, match=r"timeout_s=600(.|\n)*rank 1 computes(.|\n)*wait for rank 1"):
        run.wait()


# stopping


def forever(node):
    while True:
        node.barrier()
        node.record(at=node.now())


def test_start_returns_at_once_and_its_history_grows_until_stop(transport):
    run = lab.start(forever, 2, transport=transport, progress=False)
    wait_until(lambda: len(run.history.metrics) > 10)
    rows = len(run.history.metrics)
    wait_until(lambda: len(run.history.metrics) > rows)
    pids = run.pids
    run.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(lab.StoppedRun) as caught:
        run.wait()
    assert len(caught.value.history.metrics) > rows


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.3])
def test_ctrl_c_ends_ranks_that_do_not_listen(transport, after_s):
    def stubborn(node):
        if node.rank == 1:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        forever(node)

    with patience(), pytest.raises(KeyboardInterrupt):
        threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGINT)).start()
        quietly(stubborn, 2, transport)


def test_a_worker_outside_the_kernels_process_group_does_not_get_its_ctrl_c():
    groups = quietly(lambda node: os.getpgid(0), 2).results
    assert os.getpgid(0) not in groups


# isolation


def test_workers_start_where_the_caller_is(tmp_path, monkeypatch):
    (tmp_path / "beside_me.py").write_text("NAME = 'found'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DDL_LAB_TEST", "seen")

    def worker(node):
        import beside_me

        return os.getcwd(), beside_me.NAME, os.environ["DDL_LAB_TEST"], torch.get_num_threads()

    assert quietly(worker, 1).results == [(str(tmp_path), "found", "seen", 1)]


def test_every_run_has_fresh_processes():
    runs = [quietly(lambda node: os.getpid(), 2).results for _ in range(2)]
    assert len({os.getpid(), *runs[0], *runs[1]}) == 5


def test_what_workers_print_appears_with_their_rank_and_in_order(capfd):
    def worker(node):
        for line in range(3):
            print(f"line {line}")
        print("to stderr", file=sys.stderr)
        print("unfinished", end="")

    lab.run(worker, 2)
    out, err = capfd.readouterr()
    for rank in range(2):
        lines = [text for text in out.splitlines() if text.startswith(f"[rank {rank}]")]
        assert lines == [f"[rank {rank}] line {k}" for k in range(3)] + [f"[rank {rank}] unfinished"]
    assert "[rank 1] to stderr" in err


def test_what_workers_print_appears_while_they_run(capfd, tmp_path):
    def worker(node):
        print("early")
        until_there(tmp_path / "it was seen")

    run = lab.start(worker, 1)
    waiting = threading.Thread(target=run.wait)
    waiting.start()
    out = ""
    while "early" not in out:
        assert waiting.is_alive(), "it must show before the end"
        time.sleep(0.02)
        out += capfd.readouterr().out
    assert waiting.is_alive()
    (tmp_path / "it was seen").touch()
    waiting.join()


def shouts(node):
    print("loud")
    os.system("echo from a program; printf unfinished >&2")


def test_what_programs_of_workers_write_appears_with_their_rank(capfd):
    lab.run(shouts, 2)
    out, err = capfd.readouterr()
    lines = {
        f"[rank {rank}] {line}" for rank in range(2) for line in ("loud", "from a program", "unfinished")
    }
    assert lines <= set(out.splitlines()) and err == ""


def test_characters_that_no_terminal_shows_are_written_in_words(monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", shown)
        history = lab.run(lambda node: print("Zürich \ud800"), 1)
    assert history.results == [None]
    assert b"[rank 0] Z\\xfcrich \\ud800" in shown.buffer.getvalue()


def test_the_last_words_of_a_crash_appear(capfd):
    def worker(node):
        os.write(2, b"no way on")
        os.abort()

    with pytest.raises(lab.WorkerError, match="SIGABRT"):
        lab.run(worker, 1)
    assert "[rank 0] no way on\n" in capfd.readouterr().out


def test_progress_false_silences(capfd):
    lab.run(shouts, 2, progress=False)
    assert capfd.readouterr() == ("", "")


def test_a_warning_is_shown_once_and_not_once_per_rank(capfd):
    def worker(node):
        warnings.warn("old name", stacklevel=1)

    lab.run(worker, 3)
    assert capfd.readouterr().err.count("UserWarning: old name") == 1


def prints(node):
    for line in range(5_000):
        print(line)


@pytest.mark.parametrize("worker", [prints, lambda node: os.system("seq 5000")])
def test_a_worker_that_prints_without_end_does_not_flood(capfd, worker):
    lab.run(worker, 1)
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 1_011 and lines[1_000] == "[rank 0] … 3,990 more lines …"
    assert lines[999] != lines[-1] == lines[999].replace("1000", "5000").replace("999", "4999")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become a second user")
def test_a_second_user_can_neither_open_a_runs_memory_nor_its_folder():
    """Everything of a run is anonymous or in a folder of mode 0700: another user finds no way in."""
    run = lab.start(forever, 2, transport="gloo", progress=False)
    wait_until(lambda: len(run.history.metrics) > 3)
    folder, paths = run._supervisor._resources.folder, []
    if folder:  # where the system has no files without a name
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        paths = [os.path.join(folder, "store")]
    for pid in run.pids:
        paths += [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")] + [f"/proc/{pid}/mem"]
    intruder = os.fork()
    if intruder == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        opened = 0
        for path in paths:
            try:
                os.close(os.open(path, os.O_RDONLY))
                opened += 1
            except OSError:
                continue
        os._exit(min(opened, 255))
    _, status = os.waitpid(intruder, 0)
    run.stop()
    assert len(paths) > 10 and os.waitstatus_to_exitcode(status) == 0


def test_a_run_sends_no_secret_on_a_command_line_and_names_no_shared_memory():
    before = named_memory()
    run = lab.start(forever, 2, progress=False)
    wait_until(lambda: len(run.history.metrics) > 3)
    wait_until(lambda: named_memory() <= before, "memory has a name")
    command = psutil.Process(SERVER.pid).cmdline()
    run.stop()
    assert command[-1].isdigit(), "a descriptor's number is all it is told"


def test_shared_memory_has_no_name_where_there_is_no_memfd(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(memory.tempfile, "tempdir", str(tmp_path))
    resources = Resources(2, "shm", b"payload")
    assert list(tmp_path.iterdir()) == []
    resources.close()
    assert quietly(lambda node: node.world_size, 2).results == [2, 2]
