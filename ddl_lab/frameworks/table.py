"""The frameworks by name: script, environment, launcher, and what each calls what the course calls a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(__file__).with_name("scripts")


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One way to run the same training.

    ``launcher``: who starts the ranks (launching.py). ``rank``, ``averages``: for the table, in a few words.
    ``reaches_ours``: whether it should end where ``lab.run`` does; an asynchronous one shouldn't.
    ``tells_means``: it tells the mean loss of all ranks and not each rank's.
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

    @property
    def path(self) -> Path:
        """The script's file."""
        return SCRIPTS / self.script

    @property
    def lines(self) -> int:
        """How many lines of the script aren't empty."""
        return sum(bool(line.strip()) for line in self.path.read_text(encoding="utf-8").splitlines())


def _deepspeed(stage: int) -> Framework:
    return Framework(
        name="deepspeed" if stage == 1 else f"deepspeed_{stage}",
        title=f"DeepSpeed ZeRO-{stage}",
        script="deepspeed_zero.py",
        launcher="torchrun",
        environment="deepspeed",
        rank="rank, a process",
        averages="its engine, in backward" if stage > 1 else "its engine, in step",
        variables={"ZERO_STAGE": str(stage)},
    )


_ALL = (
    Framework(
        name="ddp",
        title="PyTorch DDP",
        script="torch_ddp.py",
        launcher="torchrun",
        rank="rank, a process",
        averages="the model, in backward",
    ),
    Framework(
        name="torchrun",
        title="torchrun, all_reduce by hand",
        script="torch_ranks.py",
        launcher="torchrun",
        rank="rank, a process",
        averages="your line",
    ),
    Framework(
        name="fsdp2",
        title="PyTorch FSDP2",
        script="torch_fsdp2.py",
        launcher="torchrun",
        rank="rank, a process",
        averages="the model, in backward",
    ),
    Framework(
        name="mpi",
        title="MPI (mpi4py, MPICH)",
        script="mpi_allreduce.py",
        launcher="mpiexec",
        environment="mpi",
        rank="rank, a process",
        averages="your line",
    ),
    Framework(
        name="accelerate",
        title="Accelerate",
        script="accelerate_loop.py",
        launcher="torchrun",
        environment="accelerate",
        rank="process",
        averages="DDP, behind prepare",
    ),
    _deepspeed(1),
    _deepspeed(2),
    _deepspeed(3),
    Framework(
        name="jax_devices",
        title="JAX, one process",
        script="jax_devices.py",
        launcher="script",
        environment="jax",
        rank="device of a mesh",
        averages="your line, pmean",
    ),
    Framework(
        name="jax",
        title="JAX, processes",
        script="jax_ranks.py",
        launcher="each",
        environment="jax",
        rank="process, a device of a mesh",
        averages="your line, pmean",
    ),
    Framework(
        name="keras",
        title="Keras 3 over JAX, one process",
        script="keras_devices.py",
        launcher="script",
        environment="jax",
        rank="device",
        averages="train_on_batch",
        tells_means=True,
    ),
    Framework(
        name="spark",
        title="Spark, TorchDistributor",
        script="spark_torch.py",
        launcher="script",
        environment="spark",
        rank="process",
        averages="DDP, unchanged",
    ),
    Framework(
        name="spark_barrier",
        title="Spark, barrier stage",
        script="spark_barrier.py",
        launcher="script",
        environment="spark",
        rank="partition, a task",
        averages="your line, over strings",
    ),
    Framework(
        name="ray",
        title="Ray Train",
        script="ray_train.py",
        launcher="script",
        environment="ray",
        rank="worker, an actor",
        averages="DDP, behind prepare_model",
    ),
    Framework(
        name="ray_server",
        title="Ray actors, a parameter server",
        script="ray_server.py",
        launcher="script",
        environment="ray",
        rank="actor",
        averages="your server",
    ),
    Framework(
        name="ray_ranks",
        title="Ray tasks, told by RANK",
        script="ray_ranks.py",
        launcher="script",
        environment="ray",
        rank="task",
        averages="your line",
    ),
    Framework(
        name="flower",
        title="Flower FedAvg",
        script="flower_fedavg.py",
        launcher="script",
        environment="ray",
        rank="client, a partition",
        averages="a strategy, over weights",
    ),
    Framework(
        name="dask",
        title="Dask, the client as server",
        script="dask_server.py",
        launcher="script",
        environment="dask",
        rank="worker",
        averages="your client",
    ),
    Framework(
        name="dask_ranks",
        title="Dask tasks, told by RANK",
        script="dask_ranks.py",
        launcher="script",
        environment="dask",
        rank="task",
        averages="your line",
    ),
    Framework(
        name="tensorflow",
        title="TensorFlow, MultiWorkerMirrored",
        script="tf_mirrored.py",
        launcher="each",
        environment="tensorflow",
        rank="worker, a replica",
        averages="your line, in a replica",
    ),
    Framework(
        name="tf_server",
        title="TensorFlow, ParameterServer",
        script="tf_server.py",
        launcher="script",
        environment="tensorflow",
        rank="worker",
        averages="your coordinator",
        variables={"SERVER_WAITS": "1"},
    ),
    Framework(
        name="tf_server_async",
        title="TensorFlow, ParameterServer, asynchronous",
        script="tf_server.py",
        launcher="script",
        environment="tensorflow",
        rank="worker",
        averages="nobody: each worker writes",
        variables={"SERVER_WAITS": "0"},
        reaches_ours=False,
    ),
    Framework(
        name="paddle",
        title="Paddle DataParallel",
        script="paddle_parallel.py",
        launcher="paddle",
        environment="paddle",
        rank="trainer, a process",
        averages="the model, in backward",
    ),
    Framework(
        name="mindspore",
        title="MindSpore",
        script="mindspore_ranks.py",
        launcher="msrun",
        environment="mindspore",
        rank="worker, a process",
        averages="your line, an operator",
    ),
    Framework(
        name="horovod",
        title="Horovod over PyTorch",
        script="horovod_torch.py",
        launcher="horovodrun",
        environment="horovod",
        rank="process",
        averages="the optimiser",
    ),
)
FRAMEWORKS = {framework.name: framework for framework in _ALL}

# Not for training: Accelerate as its own launcher starts it on CPUs. Lab 17 shows what becomes of that.
TRAPS = {
    "accelerate_launch": Framework(
        name="accelerate_launch",
        title="Accelerate, by accelerate launch --cpu",
        script="accelerate_loop.py",
        launcher="accelerate",
        environment="accelerate",
        rank="process",
        averages="DDP, behind prepare",
    )
}
