"""Measure what one learner costs this machine: memory, processor time and the wait for a start.

    .venv/bin/python tools/measure_learner.py [--learners 2] [--nodes 4] [--class 30]

Starts a few learners as a Hub would, each with a server of their own, a kernel that has loaded the
course, and a run that holds its processes. Two kinds of memory are told apart. What a process has written
is its own; pages that a learner's fork server shares with the nodes that it forked are counted once. Files
that processes only read, above all the libraries of torch, are in memory once for all users. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import os
import platform
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import LocalProvisioner

MB = 1e6
LONGEST_S = 180
LOAD = "import ddl_lab as lab; lab.load_digits(); lab.run(lambda node: None, {nodes}, progress=False)"
# a model and its gradient on every node, as in the labs; then all wait, and are measured
HOLD = """
import time
def worker(node):
    model, digits = lab.make_model(seed=0), lab.load_digits()
    x, y = digits.train.x[:500], digits.train.y[:500]
    gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
    node.all_reduce(gradient, op="mean")
    node.record(ready=1)
    node.barrier()
    while True:
        time.sleep(0.1)
        node.barrier()
run = lab.start(worker, {nodes}, progress=False)
while len(run.history.metrics) < {nodes}:
    time.sleep(0.05)
for rank in range({nodes}):
    run.pause(rank)
"""
STAGES = ("server", "kernel with the course", "run of {nodes} nodes")


class ThisPython(KernelManager):
    """Starts kernels of the Python that runs this."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel to start."""
        return KernelSpec(**get_kernel_dict())


@dataclass
class Cost:
    """What something took: bytes of memory more than before, processor and wall seconds."""

    bytes_: float
    cpu_s: float
    wall_s: float


@dataclass
class Learner:
    """One learner's processes, started stage by stage; all end with the ``with`` block."""

    folder: str
    processes: list[int] = field(default_factory=list)
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    client: BlockingKernelClient | None = None

    def start_server(self) -> None:
        """A JupyterLab on a free port; returns when it answers."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        token = secrets.token_hex(8)
        options = ["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
        options += [f"--ServerApp.root_dir={self.folder}", "--ServerApp.port_retries=0"]
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=os.environ | {"JUPYTER_TOKEN": token},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.closing.callback(server.wait)
        self.closing.callback(server.terminate)
        self.processes.append(server.pid)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/status", headers={"Authorization": f"token {token}"}
        )
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end and server.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10):
                return
            time.sleep(0.05)
        raise RuntimeError("JupyterLab did not start")

    def start_kernel(self, nodes: int) -> None:
        """A kernel that has loaded the course and made one run, so that its fork server stands."""
        file = str(Path(self.folder, f"kernel-{secrets.token_hex(4)}.json"))  # its sockets lie beside it
        manager = ThisPython(transport="ipc", connection_file=file)  # as docs/jupyterhub_config.py asks
        manager.start_kernel(cwd=self.folder)
        self.closing.callback(manager.shutdown_kernel, now=True)
        self.client = manager.client()
        self.client.start_channels()
        self.closing.callback(self.client.stop_channels)
        self.client.wait_for_ready(LONGEST_S)
        provisioner = manager.provisioner
        assert isinstance(provisioner, LocalProvisioner) and provisioner.pid is not None
        self.processes.append(provisioner.pid)
        self.execute(LOAD.format(nodes=nodes))

    def start_run(self, nodes: int) -> None:
        """A run whose nodes hold a model and a gradient each, and stay."""
        self.execute(HOLD.format(nodes=nodes))

    def execute(self, code: str) -> None:
        """Run ``code`` in the kernel; raises ``RuntimeError`` if it does."""
        assert self.client is not None
        reply = self.client.execute_interactive(code, timeout=LONGEST_S, output_hook=lambda message: None)
        if reply["content"]["status"] != "ok":
            raise RuntimeError("\n".join(reply["content"].get("traceback", ["the kernel refused"])))

    def all_processes(self) -> Iterator[psutil.Process]:
        """The server, the kernel, the fork server and the nodes."""
        for pid in self.processes:
            process = psutil.Process(pid)
            yield process
            yield from process.children(recursive=True)

    def __enter__(self) -> Learner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.close()


def written_bytes(process: psutil.Process) -> float:
    """Bytes of what this process has written, a page that k processes share as a k-th of it."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return 1024.0 * (kib["Pss_Anon"] + kib["Pss_Shmem"])


def standing(learner: Learner) -> tuple[float, float]:
    """(bytes written, processor seconds so far) of all the learner's processes together."""
    found = list(learner.all_processes())
    cpu = [process.cpu_times() for process in found]
    seconds = sum(t.user + t.system + t.children_user + t.children_system for t in cpu)
    return sum(written_bytes(process) for process in found), seconds


def cost(learner: Learner, action: Callable[[], None]) -> Cost:
    """Do ``action``; what it took."""
    bytes_before, cpu_before = standing(learner)
    start = time.perf_counter()
    action()
    wall_s = time.perf_counter() - start
    bytes_, cpu_s = standing(learner)
    return Cost(bytes_ - bytes_before, cpu_s - cpu_before, wall_s)


def measure(count: int, nodes: int) -> tuple[list[Cost], float]:
    """The mean costs of a learner, in the order of ``STAGES``, and the bytes of files that all share.

    ``count``: learners to start, one after the other; all stay until the last is measured.
    """
    costs: list[list[Cost]] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for _ in range(count):
            learner = stack.enter_context(Learner(folder))
            steps: list[Callable[[], None]] = [
                learner.start_server,
                functools.partial(learner.start_kernel, nodes),
                functools.partial(learner.start_run, nodes),
            ]
            costs.append([cost(learner, step) for step in steps])
        files = max(process.memory_info().shared for process in learner.all_processes())
    return [mean(list(stage)) for stage in zip(*costs, strict=True)], files


def mean(costs: list[Cost]) -> Cost:
    """Their mean."""
    sums = [sum(getattr(c, name) for c in costs) for name in ("bytes_", "cpu_s", "wall_s")]
    return Cost(*(total / len(costs) for total in sums))


def report(stages: list[Cost], files: float, nodes: int, class_size: int) -> str:
    """The table and the formula, as text for a terminal or a page."""
    memory = psutil.virtual_memory().total / 2**30
    lines = [
        f"measured on {datetime.date.today()}: {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}",
        "",
        "| what one learner starts | memory, MB | processor s | wait, s |",
        "|---|---|---|---|",
    ]
    for name, stage in zip(STAGES, stages, strict=True):
        numbers = f"{stage.bytes_ / MB:.0f} | {stage.cpu_s:.1f} | {stage.wall_s:.1f}"
        lines.append(f"| {name.format(nodes=nodes)} | {numbers} |")
    each, start_s = sum(stage.bytes_ for stage in stages), sum(stage.cpu_s for stage in stages)
    lines += [
        "",
        f"memory: {files / MB:.0f} MB of files, once, + {each / MB:.0f} MB a learner; "
        f"{class_size} learners: {(files + class_size * each) / 1e9:.1f} GB",
        f"if all start at once: {start_s:.1f} s a learner / number of cores; "
        f"{class_size} learners on 8 cores: {class_size * start_s / 8:.0f} s",
    ]
    return "\n".join(lines)


def main() -> int:
    """Do what the command line says; 0 where all is well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--learners", type=int, default=2, help="how many to start")
    parser.add_argument("--nodes", type=int, default=4, help="processes of each one's run")
    parser.add_argument("--class", type=int, default=30, dest="size", help="learners to reckon with")
    told = parser.parse_args()
    if not Path("/proc/self/smaps_rollup").exists():
        print("only Linux tells what processes share", file=sys.stderr)
        return 1
    stages, files = measure(told.learners, told.nodes)
    print(report(stages, files, told.nodes, told.size))
    return 0


if __name__ == "__main__":
    sys.exit(main())
