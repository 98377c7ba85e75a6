"""Each row of README.md's table "When something fails" is what a learner reads: it is provoked here."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from waiting import wait_until

import ddl_lab as lab
from ddl_lab.processes.launch.client import SERVER

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
TABLE = README.partition("## When something fails")[2].partition("\n## ")[0]
ROWS = re.findall(r"^\| `(.+?)` \|", TABLE, re.M)


def run(worker, nodes=3, **options):
    lab.run(worker, nodes, progress=False, **options)


def on_rank(rank, deed):
    """A worker whose ``rank`` does ``deed`` while the others wait for it."""

    def worker(node):
        result = deed(node) if node.rank == rank else None
        node.barrier()
        return result

    return worker


def raises(node):
    raise ValueError("no")


def waits(node):
    node.recv(torch.ones(1), (node.rank + 1) % node.world_size)


def disagree(node):
    node.barrier() if node.rank else node.all_reduce(torch.ones(1))


def out_of_memory():
    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "memfd_create", full, raising=False)
        patched.setattr("tempfile.TemporaryFile", full)
        run(lambda node: None, 8)


def without_a_fork_server():
    going = lab.start(waits_for_ever, 2, progress=False)
    wait_until(lambda: len(going.history.metrics) == 2)
    os.kill(SERVER.pid, signal.SIGKILL)
    going.wait()


def waits_for_ever(node):
    node.record(at=1)
    threading.Event().wait()


def messages_for_ever(node):
    while True:
        node.barrier()


def captures_a_lock():
    lock = threading.Lock()

    def worker(node):
        return lock

    run(worker)


def stops_to_look(node):
    breakpoint()


def reads_a_file(node):
    return open("weights.pt")


def alone_in_a_job():
    job = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
    with pytest.MonkeyPatch.context() as patched:
        for name, text in job.items():
            patched.setenv(name, text)
        run(lambda node: None, 2, timeout_s=0.5)


def beside_a_folder_of_that_name(folder):
    (folder / "ddl_lab").mkdir()
    code = "import ddl_lab as lab; assert lab.__file__ is None; lab.run"
    done = subprocess.run([sys.executable, "-E", "-c", code], cwd=folder, capture_output=True, text=True)
    assert "AttributeError" in done.stderr, done.stderr
    raise AttributeError(done.stderr.rpartition("AttributeError: ")[2].strip())


PROVOKED = {
    "WorkerError: rank 2 raised …": lambda _: run(on_rank(2, raises)),
    "WorkerError: rank 2 was killed by SIGKILL": lambda _: run(
        on_rank(2, lambda node: os.kill(os.getpid(), signal.SIGKILL))
    ),
    "DeadlockError: no node can go on": lambda _: run(waits),
    "CollectiveMismatch: the ranks disagree …": lambda _: run(disagree),
    "LabError: no resources for 8 processes: …": lambda _: out_of_memory(),
    "LabError: the fork server ended": lambda _: without_a_fork_server(),
    "StoppedRun: not finished after timeout_s=…": lambda _: run(waits_for_ever, timeout_s=0.5),
    "StoppedRun: stopped after … events": lambda _: lab.simulate(messages_for_ever, 2, max_events=100),
    "LabError: rank 0 is not joined by all 2 processes …": lambda _: alone_in_a_job(),
    "WorkerError: rank 0 raised RuntimeError: breakpoint() in a rank, …": lambda _: run(
        on_rank(0, stops_to_look)
    ),
    "CaptureError: worker captures …": lambda _: captures_a_lock(),
    "WorkerError: rank 0 raised CaptureError: rank 0 returned …": lambda _: run(
        on_rank(0, lambda node: threading.Lock())
    ),
    "NotAllowed: an entry may not use …": lambda _: lab.contest(seed=1).score(reads_a_file),
    "AttributeError: module 'ddl_lab' has no attribute …": beside_a_folder_of_that_name,
}


def test_every_row_is_provoked_and_every_provocation_has_its_row():
    assert sorted(ROWS) == sorted(PROVOKED)


@pytest.mark.parametrize("row", ROWS)
def test_what_a_row_names_is_what_is_raised(row, tmp_path):
    with pytest.raises(Exception) as caught:
        PROVOKED[row](tmp_path)
    told = re.sub(r"\d+", r"\\d+", re.escape(row)).replace("…", ".*")
    assert re.match(told, f"{caught.type.__name__}: {caught.value}"), caught.value
