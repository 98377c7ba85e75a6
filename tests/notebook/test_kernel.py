"""In a real Jupyter kernel: Stop and restart at any moment, a killed kernel, tracebacks with the cell."""

import os
import re

import psutil
import pytest
from faulty import FUZZ, alive, is_stopped, named_memory
from kernels import Kernel
from waiting import eventually

FOREVER = """
def forever(node):
    while True:
        node.barrier()
        node.record(at=node.now())
"""
STARTED = """
import time
run = lab.start(forever, 3, progress=False)
while len(run.history.metrics) < 5:
    time.sleep(0.01)
"""


@pytest.fixture
def kernel():
    kernel = Kernel()
    _, error = kernel.run("import ddl_lab as lab, torch\nlab.run(lambda node: 0, 1, progress=False)")
    assert error is None, error
    yield kernel
    kernel.close()


def gone(pids):
    return eventually(lambda: not alive(pids))


def descendants(pid):
    """The guardian, the kernel's child in a session of its own; below it the fork server; its workers."""
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


def workers(pid):
    """Those of them that lead a process group and no session."""
    found = []
    for child in descendants(pid):
        try:
            found += [child] if os.getpgid(child) == child != os.getsid(child) else []
        except ProcessLookupError:
            continue
    return found


def test_a_killed_kernel_leaves_no_process(kernel):
    kernel.run(FOREVER + STARTED)
    pids = descendants(kernel.pid)
    assert len(pids) == 5
    psutil.Process(kernel.pid).kill()
    assert gone(pids)


def test_a_restarted_kernel_leaves_no_worker_of_the_old_one(kernel):
    kernel.run(FOREVER + STARTED)
    pids = descendants(kernel.pid)
    assert len(pids) == 5
    kernel.manager.restart_kernel(now=False)
    assert gone(pids)


# Stop and restart while a cell runs, at every moment of a run

CELLS = """
import os, signal, sys, time
import ddl_lab as lab
from pathlib import Path
from ddl_lab.processes.launch.client import SERVER

def forever(node):
    while True:
        node.barrier()

def stops(node):                      # rank 1 does not hear that the run is over: ending it takes a moment
    if node.rank == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    node.barrier()

class Loading:                        # an argument that never finishes to load
    def __reduce__(self):
        return load, (str(os.getpid()),)

def load(caller):
    Path(os.environ["SEEN"], f"{caller}-{os.getpid()}").touch()
    while True:
        time.sleep(0.01)

lab.run(lambda node: 0, 1, progress=False)
"""
RUN = "lab.run({0}, 2, transport={1!r}, progress=False, args={2})"


def has_started(kernel, count):
    return eventually(lambda: len(workers(kernel.pid)) == count)


def while_the_server_loads(kernel, transport):
    kernel.run("SERVER.close()")
    kernel.ask(RUN.format("forever", transport, "()"))
    assert eventually(lambda: descendants(kernel.pid)) and not workers(kernel.pid)


def while_ranks_load(kernel, transport):
    kernel.ask(RUN.format("lambda node, _: 0", transport, "(Loading(),)"))
    assert eventually(lambda: len(list(kernel.seen.glob(f"{kernel.pid}-*"))) == 2)


def while_it_runs(kernel, transport):
    kernel.ask(RUN.format("forever", transport, "()"))
    assert has_started(kernel, 2)


def while_it_is_torn_down(kernel, transport):
    kernel.ask(RUN.format("stops", transport, "()"))
    assert has_started(kernel, 2)
    assert eventually(lambda: any(is_stopped(pid) for pid in workers(kernel.pid)))
    kernel.manager.interrupt_kernel()
    assert has_started(kernel, 1), "the other rank has ended, this one not yet"


MOMENTS = [while_the_server_loads, while_ranks_load, while_it_runs, while_it_is_torn_down]


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """A kernel for several tests, its temporary files in a folder of its own; each leaves it as it was."""
    temporary, seen = tmp_path_factory.mktemp("temporary"), tmp_path_factory.mktemp("seen")
    kernel = Kernel(TMPDIR=str(temporary), SEEN=str(seen))
    kernel.temporary, kernel.seen = temporary, seen
    yield kernel
    kernel.close()


@pytest.fixture
def used(lasting):
    """The kernel, ready; afterwards nothing of a run is left, and the next one works."""
    _, error = lasting.run(CELLS)
    assert error is None, error
    for note in lasting.seen.iterdir():
        note.unlink()
    named = named_memory()
    yield lasting
    text, error = lasting.run(
        "import ddl_lab as lab\nprint(lab.run(lambda n: n.rank, 2, progress=False).results)"
    )
    assert error is None and text.endswith("[0, 1]\n"), "a new kernel may begin with a warning"
    assert eventually(lambda: not workers(lasting.pid)) and len(descendants(lasting.pid)) == 2
    assert not list(lasting.temporary.glob("ddl_lab_*"))
    assert eventually(lambda: named_memory() <= named)


@pytest.mark.parametrize("transport", ["shm", "gloo"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_stop_at_any_moment_ends_the_cell_and_leaves_no_worker(used, moment, transport):
    moment(used, transport)
    pids = workers(used.pid)
    used.manager.interrupt_kernel()
    _, error = used.collect()
    assert error[0] == "KeyboardInterrupt"
    assert not alive(pids), "they are gone when the cell is over"


@pytest.mark.parametrize("moment", MOMENTS if FUZZ else [while_the_server_loads, while_it_is_torn_down])
def test_a_restart_at_any_moment_of_a_cell_leaves_no_process(used, moment):
    moment(used, "gloo")
    pids = [used.pid, *descendants(used.pid)]
    used.manager.restart_kernel(now=False)  # as JupyterLab does it
    assert gone(pids)
    used.client.wait_for_ready(timeout=60)


def test_a_run_that_nobody_holds_is_reaped(used):
    used.run(FOREVER + STARTED)
    assert len(workers(used.pid)) == 3
    used.run("del run\nimport gc\ngc.collect()")
    assert eventually(lambda: len(descendants(used.pid)) == 2)


def test_a_workers_error_shows_the_cell_and_line_and_nothing_of_the_package(used):
    cell = (
        "def worker(node):\n    if node.rank == 1:\n        torch.ones(2) @ torch.ones(3)\n    node.barrier()"
    )
    used.run("import torch")
    used.run(cell)
    _, (name, value, shown) = used.run("lab.run(worker, 2, progress=False)")
    assert name == "WorkerError" and value.startswith("rank 1 raised RuntimeError")
    assert "torch.ones(2) @ torch.ones(3)" in shown and re.search(r"In ?\[\d+\], line 3", shown)
    assert "ddl_lab/" not in shown and "site-packages" not in shown


SLOW = """
import time
def slow(node):
    for k in range(12):
        node.record(loss=k)
        time.sleep(0.1)
"""


def test_progress_shows_each_ranks_newest_metric_while_a_run_goes_on(used):
    used.run(SLOW)
    text, error = used.run("history = lab.run(slow, 2)")
    assert error is None
    assert re.search(r"rank 1: \d+ rows  loss \d", text) and "2 nodes" in text


JOB = """
import os
os.environ.update(RANK="0", WORLD_SIZE="1", MASTER_ADDR="localhost", MASTER_PORT="29500")
"""


def test_variables_of_a_job_that_a_cell_has_set_are_ignored_and_a_line_says_so_once(used):
    used.run(JOB)
    look = "print(lab.run(lambda node: (node.rank, os.environ.get('RANK')), 2, timeout_s=60).results)"
    text, error = used.run(look)
    assert error is None and "[(0, None), (1, None)]" in text
    assert "RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT are set in this kernel" in text
    text, error = used.run(look)
    assert error is None and "[(0, None), (1, None)]" in text and "MASTER_PORT" not in text
    used.run("for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'):\n    del os.environ[name]")
