"""The frameworks by name: script, environment, launcher, and what each calls what the course calls a node."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).with_name("scripts")
_USE = r"(?m)^\s*(?:from|import) {0}\b|\b{0}\.py"


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One way to run the same training.

    ``launcher``: who starts the ranks (launching.py). ``rank``, ``averages``: for the table, in a few words.
    ``reaches_ours``: whether it should end where ``lab.run`` does; an asynchronous one shouldn't.
    ``tells_means``: it tells the mean loss of all ranks and not each rank's. ``course``: its ranks import
    this course's package.
    """

    name: str
    title: str
    script: str
    launcher: str
    rank: str
    averages: str
    environment: str = ""  # "": the course's own
    variables: Mapping[str, str] = field(default_factory=dict)
    reaches_ours: bool = True
    tells_means: bool = False
    course: bool = False

    @property
    def path(self) -> Path:
        """The script's file."""
        return SCRIPTS / self.script

    @property
    def sources(self) -> list[Path]:
        """The script's file, and of those beside it all that it imports or starts, by name."""
        others = {file.name: file for file in SCRIPTS.glob("*.py")}
        found, waiting = set[str](), {self.path.name, *self.variables.values()} & set(others)
        waiting |= {"each.py"} if self.launcher == "each" else set()
        while waiting:
            found |= waiting
            text = "".join(others[name].read_text(encoding="utf-8") for name in waiting)
            waiting = {name for name in others if re.search(_USE.format(name[:-3]), text)} - found
        return [others[name] for name in sorted(found)]

    @property
    def lines(self) -> int:
        """How many lines of the script aren't empty."""
        return sum(bool(line.strip()) for line in self.path.read_text(encoding="utf-8").splitlines())


def _of(
    name: str, title: str, script: str, launcher: str, environment: str, rank: str, averages: str, **more: Any
) -> Framework:
    place = Framework(name=name, title=title, script=script, launcher=launcher, rank=rank, averages=averages)
    return replace(place, environment=environment, **more)


# fmt: off
_ALL = (
    _of("ddp", "PyTorch DDP", "torch_ddp.py", "torchrun", "",
        "rank, a process", "the model, in backward"),
    _of("torchrun", "torchrun, all_reduce by hand", "torch_ranks.py", "torchrun", "",
        "rank, a process", "your line"),
    _of("fsdp2", "PyTorch FSDP2", "torch_fsdp2.py", "torchrun", "",
        "rank, a process", "the model, in backward"),
    _of("mpi", "MPI (mpi4py, MPICH)", "mpi_allreduce.py", "mpiexec", "mpi",
        "rank, a process", "your line"),
    _of("accelerate", "Accelerate", "accelerate_loop.py", "torchrun", "accelerate",
        "process", "DDP, behind prepare"),
    _of("deepspeed", "DeepSpeed ZeRO-1", "deepspeed_zero.py", "torchrun", "deepspeed",
        "rank, a process", "its engine, in step", variables={"ZERO_STAGE": "1"}),
    _of("deepspeed_2", "DeepSpeed ZeRO-2", "deepspeed_zero.py", "torchrun", "deepspeed",
        "rank, a process", "its engine, in backward", variables={"ZERO_STAGE": "2"}),
    _of("deepspeed_3", "DeepSpeed ZeRO-3", "deepspeed_zero.py", "torchrun", "deepspeed",
        "rank, a process", "its engine, in backward", variables={"ZERO_STAGE": "3"}),
    _of("jax_devices", "JAX, one process", "jax_devices.py", "script", "jax",
        "device of a mesh", "your line, pmean"),
    _of("jax", "JAX, processes", "jax_ranks.py", "each", "jax",
        "process, a device of a mesh", "your line, pmean"),
    _of("keras", "Keras 3 over JAX, one process", "keras_devices.py", "script", "jax",
        "device", "train_on_batch", tells_means=True),
    _of("spark", "Spark, TorchDistributor", "spark_torch.py", "script", "spark",
        "process", "DDP, unchanged"),
    _of("spark_barrier", "Spark, barrier stage", "spark_barrier.py", "script", "spark",
        "partition, a task", "your line, over strings"),
    _of("ray", "Ray Train", "ray_train.py", "script", "ray",
        "worker, an actor", "DDP, behind prepare_model"),
    _of("ray_server", "Ray actors, a parameter server", "ray_server.py", "script", "ray",
        "actor", "your server"),
    _of("ray_ranks", "Ray tasks, told by RANK", "ray_ranks.py", "script", "ray",
        "task", "your line", variables={"RANK_SCRIPT": "torch_ranks.py"}),
    _of("ray_course", "Ray tasks, lab.run in each", "ray_ranks.py", "script", "ray",
        "task, a node", "your line", course=True, variables={"RANK_SCRIPT": "course_ranks.py"}),
    _of("flower", "Flower FedAvg", "flower_fedavg.py", "script", "ray",
        "client, a partition", "a strategy, over weights"),
    _of("dask", "Dask, the client as server", "dask_server.py", "script", "dask",
        "worker", "your client"),
    _of("dask_ranks", "Dask tasks, told by RANK", "dask_ranks.py", "script", "dask",
        "task", "your line", variables={"RANK_SCRIPT": "torch_ranks.py"}),
    _of("dask_course", "Dask tasks, lab.run in each", "dask_ranks.py", "script", "dask",
        "task, a node", "your line", course=True, variables={"RANK_SCRIPT": "course_ranks.py"}),
    _of("tensorflow", "TensorFlow, MultiWorkerMirrored", "tf_mirrored.py", "each", "tensorflow",
        "worker, a replica", "your line, in a replica"),
    _of("tf_server", "TensorFlow, ParameterServer", "tf_server.py", "script", "tensorflow",
        "worker", "your coordinator", variables={"SERVER_WAITS": "1"}),
    _of("tf_server_async", "TensorFlow, ParameterServer, asynchronous", "tf_server.py", "script",
        "tensorflow",
        "worker", "nobody: each worker writes", variables={"SERVER_WAITS": "0"}, reaches_ours=False),
    _of("paddle", "Paddle DataParallel", "paddle_parallel.py", "paddle", "paddle",
        "trainer, a process", "the model, in backward"),
    _of("mindspore", "MindSpore", "mindspore_ranks.py", "msrun", "mindspore",
        "worker, a process", "your line, an operator"),
    _of("horovod", "Horovod over PyTorch", "horovod_torch.py", "horovodrun", "horovod",
        "process", "the optimiser"),
)
# fmt: on
FRAMEWORKS = {framework.name: framework for framework in _ALL}

# Not for training: Accelerate as its own launcher starts it on CPUs. Lab 17 shows what becomes of that.
_TRAP = _of(
    "accelerate_launch",
    "Accelerate, by accelerate launch --cpu",
    "accelerate_loop.py",
    "accelerate",
    "accelerate",
    "process",
    "DDP, behind prepare",
)
TRAPS = {_TRAP.name: _TRAP}
