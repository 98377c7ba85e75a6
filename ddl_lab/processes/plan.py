"""What a run is asked for, checked before anything starts."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

import torch

from ..cluster.model import Cluster
from ..counted import counted
from ..travel.checks import check_args, check_cluster, check_nodes, check_worker, refuse_inside
from ..travel.shell import in_notebook
from .transports.board import MAX_RANKS

TRANSPORTS = ("shm", "gloo", "nccl")
_JOB_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_told = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run's settings, all of them good."""

    nodes: int
    device: str  # "cpu" or "cuda"
    gpus: int  # visible ones, of which rank r takes r modulo their number
    transport: str
    cluster: Cluster | None  # whose pace to keep
    timeout_s: float | None
    began_s: float = 0.0  # where its clock begins: after attempts that have failed

    @property
    def note(self) -> str:
        """What the learner should know of how ranks are placed, or nothing."""
        if self.device == "cuda" and self.nodes > self.gpus:
            gpus = counted(self.gpus, "GPU")
            return f"{self.nodes} ranks share {gpus}: their tensors travel by way of the host's memory."
        return ""


def is_rank() -> bool:
    """Whether torchrun, or what sets the same variables, started this process as one rank of a job.

    A notebook's kernel is none: there a tutorial's lines have set them.
    """
    return _has_job() and not in_notebook()


def _has_job() -> bool:
    return all(name in os.environ for name in _JOB_VARIABLES)


def workers_environ() -> dict[str, str]:
    """The environment of a run's workers: the caller's. They are no ranks of a job that it ignores."""
    ignored = _JOB_VARIABLES[:2] if _has_job() else ()
    return {name: text for name, text in os.environ.items() if name not in ignored}


def tell_of_ignored_job() -> None:
    """Say once that the variables of a job are set in a notebook's kernel, and count for nothing."""
    global _told
    if _has_job() and not _told:
        _told = True
        print(
            f"{', '.join(_JOB_VARIABLES)} are set in this kernel, as for a rank of a torchrun job: "
            "they are ignored here, and the run has processes of its own.",
            file=sys.stderr,
        )


def plan(
    worker: Any, nodes: Any, device: Any, transport: Any, cluster: Any, timeout_s: Any, args: Any
) -> Plan:
    """The run that is asked for; ``ValueError`` or ``TypeError`` names the value, the range and the mend."""
    refuse_inside("run")
    nodes = check_nodes(nodes, MAX_RANKS)
    check_args(args)
    check_worker(worker, args)
    if isinstance(device, torch.device):
        device = str(device)
    gpus = _gpus(device)
    if cluster is not None:
        check_cluster(cluster, nodes)
    if timeout_s is not None and not (isinstance(timeout_s, int | float) and timeout_s > 0):
        raise ValueError(f"timeout_s={timeout_s!r}: it takes seconds above 0, or None for no limit.")
    return Plan(
        nodes=nodes,
        device=device,
        gpus=gpus,
        transport=_transport(transport, device, gpus, nodes),
        cluster=cluster,
        timeout_s=timeout_s,
    )


def _gpus(device: Any) -> int:
    if device == "cpu":
        return 0
    if device != "cuda":
        raise ValueError(f"device={device!r}: choose 'cpu', or 'cuda' for the visible GPUs.")
    count = torch.cuda.device_count()
    if not count:
        raise ValueError("device='cuda': no GPU is visible here; device='cpu' runs everywhere.")
    return count


def _transport(transport: Any, device: str, gpus: int, nodes: int) -> str:
    known = TRANSPORTS[1:] if is_rank() else TRANSPORTS
    if transport not in ("auto", *known):
        where = " under torchrun" if is_rank() else ""
        raise ValueError(f"transport={transport!r}{where}: choose 'auto', {', '.join(map(repr, known))}.")
    fits = device == "cuda" and nodes <= gpus
    if transport == "nccl" and not fits:
        have = f"{gpus} for {nodes} ranks" if device == "cuda" else "device='cpu'"
        raise ValueError(f"transport='nccl' needs a GPU for each rank, and there is {have}: try 'auto'.")
    if transport != "auto":
        return str(transport)
    return "nccl" if fits and not is_rank() else known[0]
