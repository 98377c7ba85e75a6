"""In a real Jupyter kernel: the Stop button, a killed kernel, tracebacks that name the cell."""

import re
import time

import psutil
import pytest
from jupyter_client.manager import start_new_kernel

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


class Kernel:
    """A kernel that runs cells and tells what they showed."""

    def __init__(self):
        self.manager, self.client = start_new_kernel(kernel_name="python3")
        self.pid = self.manager.provisioner.process.pid

    def run(self, code, timeout=60):
        """What a cell printed, its error as (name, value, traceback), and seconds it took."""
        began = time.monotonic()
        self.client.execute(code)
        return self.collect(began, timeout)

    def collect(self, began, timeout=60):
        text, error = "", None
        while True:
            message = self.client.get_iopub_msg(timeout=timeout)
            content = message["content"]
            if message["msg_type"] == "stream":
                text += content["text"]
            elif message["msg_type"] in ("display_data", "update_display_data", "execute_result"):
                text += content["data"].get("text/plain", "")
            elif message["msg_type"] == "error":
                shown = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(content["traceback"]))
                error = (content["ename"], content["evalue"], shown)
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return text, error, time.monotonic() - began


@pytest.fixture
def kernel():
    kernel = Kernel()
    _, error, _ = kernel.run("import ddl_lab as lab, torch\nlab.run(lambda node: 0, 1, progress=False)")
    assert error is None, error
    yield kernel
    if kernel.manager.is_alive():
        kernel.client.stop_channels()
        kernel.manager.shutdown_kernel(now=True)


def gone(pids, seconds=5.0):
    end = time.monotonic() + seconds
    while any(psutil.pid_exists(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def descendants(pid):
    """The kernel's server and workers: the server is its child, in a session of its own."""
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


def test_stop_ends_all_ranks_within_a_second_and_the_next_cell_works(kernel):
    kernel.run(FOREVER)
    server = descendants(kernel.pid)
    kernel.client.execute("lab.run(forever, 4)")
    while len(descendants(kernel.pid)) < len(server) + 4:
        time.sleep(0.02)
    time.sleep(0.3)
    began = time.monotonic()
    kernel.manager.interrupt_kernel()
    _, error, seconds = kernel.collect(began)
    assert error[0] == "KeyboardInterrupt" and seconds < 2
    assert sorted(descendants(kernel.pid)) == sorted(server), "the server lives, the workers are gone"
    text, error, _ = kernel.run("print(lab.run(lambda node: node.rank, 2, progress=False).results)")
    assert error is None and text == "[0, 1]\n"


def test_a_killed_kernel_leaves_no_process(kernel):
    kernel.run(FOREVER + STARTED)
    pids = descendants(kernel.pid)
    assert len(pids) == 4
    psutil.Process(kernel.pid).kill()
    assert gone(pids)


def test_a_restarted_kernel_leaves_no_worker_of_the_old_one(kernel):
    kernel.run(FOREVER + STARTED)
    pids = descendants(kernel.pid)
    assert len(pids) == 4
    kernel.manager.restart_kernel(now=False)
    assert gone(pids)


def test_a_run_that_nobody_holds_is_reaped(kernel):
    kernel.run(FOREVER + STARTED)
    assert len(descendants(kernel.pid)) == 4
    kernel.run("del run\nimport gc\ngc.collect()")
    end = time.monotonic() + 5
    while len(descendants(kernel.pid)) > 1:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_workers_error_shows_the_cell_and_line_and_nothing_of_the_package(kernel):
    cell = (
        "def worker(node):\n    if node.rank == 1:\n        torch.ones(2) @ torch.ones(3)\n    node.barrier()"
    )
    kernel.run(cell)
    _, (name, value, shown), _ = kernel.run("lab.run(worker, 2, progress=False)")
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


def test_progress_shows_each_ranks_newest_metric_while_a_run_goes_on(kernel):
    kernel.run(SLOW)
    text, error, _ = kernel.run("history = lab.run(slow, 2)")
    assert error is None
    assert re.search(r"rank 1: \d+ rows  loss \d", text) and "2 nodes" in text
