"""Under torchrun: this process *is* one rank, and ``run`` plays its part in the job.

torchrun (or anything that sets the same variables: Kubernetes' PyTorchJob, ``srun torchrun`` on Slurm) starts
the processes, on one host or many. Tensors and control messages both travel over torch.distributed's gloo.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist

from ..counted import counted
from ..errors import LabError, WorkerError, failure_of, worker_error
from ..history.history import History
from ..history.recorder import Recorder
from ..node.context import seed_everything
from ..node.node import Node
from ..node.port import Port
from ..travel.capture import freeze, freeze_result, thaw, thaw_result
from .job.limit import TimeLimit
from .job.meeting import UNSET, join, place_in_job
from .job.network import JobEndpoint
from .plan import Plan
from .transports.pacing import die_in_time
from .transports.staging import place


def run_as_rank(worker: Callable[..., Any], args: Sequence[Any], plan: Plan) -> History:
    """Run ``worker`` as this rank; every rank returns the history of all.

    Raises ``ValueError`` where ``plan.nodes`` is not the job's WORLD_SIZE, ``LabError`` where the others
    don't come, ``WorkerError`` where this rank's worker raises; torchrun then ends the others.
    """
    rank, size = place_in_job()
    if plan.nodes != size:
        raise ValueError(
            f"nodes={plan.nodes}, and this is one of the {counted(size, 'process', 'processes')} of a job "
            f"(WORLD_SIZE={size}): make them agree. {UNSET}"
        )
    called = time.monotonic()
    frozen = freeze(worker, tuple(args))
    endpoint, inbox = join(rank, size, plan.timeout_s)
    if plan.cluster is not None:
        restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
        endpoint.pace(replace(plan.cluster, attempt=plan.cluster.attempt + restarts))
    local_rank = int(os.environ.get("LOCAL_RANK", rank))
    port = place(endpoint, plan, local_rank, lambda: endpoint.store)
    recorder = Recorder()
    limit = TimeLimit(endpoint, inbox, plan.timeout_s)
    try:
        with limit:
            result, ended, startup_s = _play(frozen, endpoint, port, recorder, called)
    except LabError as error:
        error.history = _history_of({rank: recorder}, plan)  # this rank's: the others' are with them
        if isinstance(error, WorkerError):
            error.history.fail(error.at_s)
        raise
    told: list[Any] = [None] * size
    dist.all_gather_object(told, pickle.dumps((recorder.drained(), freeze_result(result, rank), ended)))
    inbox.close()  # not before all are done: a rank that is done early may still be written to
    return _history(told, plan, startup_s)


def _play(
    frozen: bytes, endpoint: JobEndpoint, port: Port, recorder: Recorder, called: float
) -> tuple[Any, float, float]:
    """Call the worker; its result, when it ended, and how long starting took."""
    torch.set_num_threads(1)
    worker, args = thaw(frozen)
    seed_everything(endpoint.rank)
    node = Node(port, recorder, tuple(range(endpoint.nodes)))
    dist.barrier()
    endpoint.begin()
    returned = threading.Event()
    die_in_time(endpoint.pacer, endpoint.origin, returned)
    try:
        result = worker(node, *args)
        node._finish()
        recorder.missed_s = endpoint.missed_s()
        returned.set()
    except Exception as error:
        raise worker_error(endpoint.rank, failure_of(error), endpoint.now()) from None
    return result, endpoint.now(), endpoint.origin - called


def _history(told: list[bytes], plan: Plan, startup_s: float) -> History:
    history = _history_of({}, plan)
    for rank, data in enumerate(told):
        packet, result, ended = pickle.loads(data)
        history.recorders[rank].absorb(packet)
        history.results[rank] = thaw_result(result)
        history.finished_s[rank] = ended
    history.startup_s = startup_s
    return history


def _history_of(known: dict[int, Recorder], plan: Plan) -> History:
    """A history of which these recorders are known; the others are empty."""
    recorders = [known.get(rank) or Recorder() for rank in range(plan.nodes)]
    about = {"engine": "processes", "transport": plan.transport, "launcher": "torchrun"}
    about |= {"device": plan.device}
    return History("paced" if plan.cluster else "wall", recorders, [None] * plan.nodes, {}, about)
