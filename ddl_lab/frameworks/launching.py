"""How each launcher is called, and what the processes below it find in their environment."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from .environments import ENVIRONMENTS, Environment
from .table import SCRIPTS, Framework

GIVEN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "PYTHONHOME")
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
COURSE = Path(__file__).parents[2]  # the folder that the course's package lies in
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
QUIET = {  # nothing is told to anybody outside, and nothing is fetched
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "FLWR_TELEMETRY_ENABLED": "0",
}
ON_CPUS = {
    "DS_ACCELERATOR": "cpu",
    "JAX_PLATFORMS": "cpu",
    "KERAS_BACKEND": "jax",
    "ACCELERATE_USE_CPU": "true",
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}
LOCALLY = {
    "GLOO_SOCKET_IFNAME": LOOPBACK,
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYSPARK_SUBMIT_ARGS": "--conf spark.ui.enabled=false --conf spark.driver.host=127.0.0.1 "
    "--driver-memory 2g pyspark-shell",
    "RAY_ADDRESS": "local",
    "RAY_DEDUP_LOGS": "0",
}


def environment_of(framework: Framework) -> Environment | None:
    """The environment that it needs; None: the course's own."""
    return ENVIRONMENTS[framework.environment] if framework.environment else None


def python_of(framework: Framework) -> str:
    """The interpreter that runs it."""
    environment = environment_of(framework)
    return str(environment.python) if environment else sys.executable


def _torchrun(framework: Framework, nodes: int) -> list[str]:
    begin = [python_of(framework), "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    return [*begin, f"--nproc-per-node={nodes}", str(framework.path)]


def _mpiexec(framework: Framework, nodes: int) -> list[str]:
    python = python_of(framework)
    return [str(Path(python).with_name("mpiexec")), "-n", str(nodes), python, str(framework.path)]


def _script(framework: Framework, nodes: int) -> list[str]:
    return [python_of(framework), str(framework.path)]


def _each(framework: Framework, nodes: int) -> list[str]:
    return [python_of(framework), str(SCRIPTS / "each.py"), str(nodes), str(framework.path)]


def _accelerate(framework: Framework, nodes: int) -> list[str]:
    begin = [python_of(framework), "-m", "accelerate.commands.launch", "--cpu", f"--num_processes={nodes}"]
    return [*begin, "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no", str(framework.path)]


def _paddle(framework: Framework, nodes: int) -> list[str]:
    begin = [python_of(framework), "-m", "paddle.distributed.launch", f"--nproc_per_node={nodes}"]
    return [*begin, "--backend=gloo", "--log_dir=paddle", str(framework.path)]


def _msrun(framework: Framework, nodes: int) -> list[str]:
    begin = [str(Path(python_of(framework)).with_name("msrun")), f"--worker_num={nodes}"]
    begin += [f"--local_worker_num={nodes}", "--master_addr=127.0.0.1", f"--master_port={free_port()}"]
    return [*begin, "--join=True", str(framework.path)]


def _horovodrun(framework: Framework, nodes: int) -> list[str]:
    python = python_of(framework)
    begin = [python, str(Path(python).with_name("horovodrun")), "--gloo", "-np", str(nodes)]
    return [*begin, "--network-interfaces", LOOPBACK, python, str(framework.path)]


LAUNCHERS: dict[str, Callable[[Framework, int], list[str]]] = {
    "torchrun": _torchrun,
    "mpiexec": _mpiexec,
    "script": _script,
    "each": _each,
    "accelerate": _accelerate,
    "paddle": _paddle,
    "msrun": _msrun,
    "horovodrun": _horovodrun,
}


def command(framework: Framework, nodes: int) -> list[str]:
    """The command line that starts ``nodes`` ranks."""
    return LAUNCHERS[framework.launcher](framework, nodes)


def variables(framework: Framework, nodes: int, folder: Path) -> dict[str, str]:
    """The environment variables of the launcher and all its ranks; ``folder``: this run's own."""
    kept = {name: text for name, text in os.environ.items() if name not in GIVEN}
    python, environment = Path(python_of(framework)), environment_of(framework)
    kept |= QUIET | ON_CPUS | LOCALLY | dict.fromkeys(THREADS, "1") | dict(framework.variables)
    kept |= {
        "PATH": f"{python.parent}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "PYTHONPATH": os.pathsep.join([str(SCRIPTS), *([str(COURSE)] if framework.course else [])]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYSPARK_PYTHON": str(python),
        "PYSPARK_DRIVER_PYTHON": str(python),
        "DDL_LAB_TASK": str(folder),
        "FLWR_HOME": str(folder),
        "KERAS_HOME": str(folder),
        "TMPDIR": str(folder),
    }
    if environment is not None and environment.java:
        kept["JAVA_HOME"] = str(environment.java_home)
    if framework.launcher == "script":
        kept["WORLD_SIZE"] = str(nodes)
    return kept


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
