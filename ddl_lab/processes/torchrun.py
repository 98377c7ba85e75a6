"""Under torchrun: this process *is* one rank, and ``run`` plays its part in the job.

torchrun (or anything that sets the same variables: Kubernetes' PyTorchJob, ``srun torchrun`` on Slurm) starts
the processes, on one host or many. Tensors and control messages both travel over torch.distributed's gloo.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import pickle
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from ..errors import LabError, StoppedRun, failure_of, worker_error
from ..history.history import History
from ..history.recorder import Recorder
from ..node.context import seed_everything
from ..node.node import Node
from ..node.port import Port
from ..travel.capture import freeze, freeze_result, thaw, thaw_result
from .plan import Plan
from .transports.board import Board, Slot
from .transports.gloo import GlooEndpoint
from .transports.pacing import die_in_time
from .transports.staging import place
from .transports.wire import BYTES, Inbox, Record
from .watch.interrupts import Flag

_UNSET = "RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT make this a rank of a job: unset them if it is none."
_PATIENCE_S = 30.0  # for the processes of a job to come together, where nothing else is said
_FOREVER_S = 24 * 3600.0  # torch takes no endless time
_BYE = 0
_runs = 0  # each run of a script has a place of its own in the job's store


class NetworkInbox(Inbox):
    """An inbox whose records come over the network: a thread puts them into this process's own pipe."""

    def __init__(self, network: Any, rank: int) -> None:
        read, self._write = os.pipe()
        super().__init__(read, [], spin=False)
        self.spins = True  # every rank tells all others: each then sees a mismatch itself
        self._network, self._rank = network, rank
        self._under_way: deque[tuple[Any, torch.Tensor]] = deque()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        if network.size() > 1:
            self._thread.start()

    def look(self) -> bool:
        """Records come through a thread: it needs the time that looking would take."""
        return False

    def post(self, rank: int, record: Record) -> None:
        """Send a record to ``rank``."""
        data = torch.frombuffer(bytearray(record.pack()), dtype=torch.uint8)
        while self._under_way and self._under_way[0][0].is_completed():
            self._under_way.popleft()
        self._under_way.append((self._network.send([data], rank, 0), data))

    def _listen(self) -> None:
        data = torch.zeros(BYTES, dtype=torch.uint8)
        while True:
            self._network.recv_anysource([data], 0).wait()
            if data[0] == _BYE:
                return
            os.write(self._write, data.numpy().tobytes())

    def wake(self) -> None:
        """Let whoever sleeps for a record wake up."""
        os.write(self._write, Record(_BYE).pack())

    def close(self) -> None:
        """End the thread, by a word from the neighbour: all ranks close together."""
        size = self._network.size()
        if size > 1:
            self.post((self._rank + 1) % size, Record(_BYE))
            self._thread.join()
            for work, _ in self._under_way:
                work.wait()
        for fd in (self._fd, self._write):
            os.close(fd)


class JobEndpoint(GlooEndpoint):
    """A rank of a job: its peers' calls are asked for through the job's store, not seen on a board."""

    def begin(self) -> None:
        """The common start: now."""
        self.origin = time.monotonic()
        self._slot.running()

    def _calls(self, ranks: Sequence[int], call: str, place: tuple[int, int]) -> dict[int, str]:
        name = f"call-{place[0]}-{place[1]}"
        self.store.set(f"{name}-{self.rank}", call)
        return {rank: self.store.get(f"{name}-{rank}").decode() for rank in ranks}


def run_as_rank(worker: Callable[..., Any], args: Sequence[Any], plan: Plan) -> History:
    """Run ``worker`` as this rank; every rank returns the history of all.

    Raises ``ValueError`` where ``plan.nodes`` is not the job's WORLD_SIZE, ``LabError`` where the others
    don't come, ``WorkerError`` where this rank's worker raises; torchrun then ends the others.
    """
    rank, size = _place_in_job()
    if plan.nodes != size:
        raise ValueError(f"nodes={plan.nodes}, and torchrun started {size} processes: make them agree.")
    called = time.monotonic()
    frozen = freeze(worker, tuple(args))
    endpoint, inbox = _join(rank, size, plan.timeout_s)
    if plan.cluster is not None:
        endpoint.pace(plan.cluster)
    local_rank = int(os.environ.get("LOCAL_RANK", rank))
    port = place(endpoint, plan, local_rank, lambda: endpoint.store)
    recorder = Recorder()
    limit = _TimeLimit(endpoint, inbox, plan.timeout_s)
    try:
        with limit:
            result, ended, startup_s = _play(frozen, endpoint, port, recorder, called)
    except LabError as error:
        error.history = _history_of({rank: recorder}, plan)  # this rank's: the others' are with them
        raise
    told: list[Any] = [None] * size
    dist.all_gather_object(told, pickle.dumps((recorder.drained(), freeze_result(result, rank), ended)))
    inbox.close()  # not before all are done: a rank that is done early may still be written to
    return _history(told, plan, startup_s)


def _place_in_job() -> tuple[int, int]:
    """This process's rank and the job's size, as its environment has them."""
    given = {name: os.environ[name] for name in ("RANK", "WORLD_SIZE")}
    if all(text.isdecimal() for text in given.values()):
        rank, size = map(int, given.values())
        if rank < size:
            return rank, size
    told = " and ".join(f"{name}={text!r}" for name, text in given.items())
    raise ValueError(f"{told} in the environment: a job has ranks from 0 to WORLD_SIZE-1. {_UNSET}")


def _join(rank: int, size: int, timeout_s: float | None) -> tuple[JobEndpoint, NetworkInbox]:
    """Meet the other ranks: they are given ``timeout_s``, or for their first run 30 s."""
    global _runs
    patience_s = timeout_s if timeout_s or dist.is_initialized() else _PATIENCE_S
    _runs += 1
    met = Flag()
    found: list[Any] = []
    # torch waits where no interrupt is heard: so in a thread, which is left behind if it waits in vain
    meet = threading.Thread(target=_meet, args=(rank, size, patience_s, found, met), daemon=True)
    meet.start()
    if not met.wait(min(patience_s or _FOREVER_S, _FOREVER_S)) or isinstance(found[0], Exception):
        here = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        why = f" ({str(found[0]).partition(chr(10))[0]})" if found else ""
        raise LabError(
            f"rank {rank} is not joined by all {size} processes of its job (WORLD_SIZE={size}), which meet "
            f"at {here}, within {patience_s:g} s{why}. Start them together, or give them longer by "
            f"timeout_s=. {_UNSET}"
        )
    return found[0]


def _meet(rank: int, size: int, patience_s: float | None, found: list[Any], met: Flag) -> None:
    """Append to ``found`` this rank's endpoint and inbox, or the error that keeps it from the others."""
    try:
        if not dist.is_initialized():
            patience = timedelta(seconds=min(patience_s or _FOREVER_S, _FOREVER_S))
            store, _, _ = next(dist.rendezvous("env://", rank, size, timeout=patience))
            store.set_timeout(timedelta(seconds=_FOREVER_S))
            dist.init_process_group(
                "gloo", store=store, rank=rank, world_size=size, timeout=timedelta(seconds=_FOREVER_S)
            )
            atexit.register(dist.destroy_process_group)
        found.append(_connect(rank, size))
    except Exception as error:
        found.append(error)
    met.set()


def _connect(rank: int, size: int) -> tuple[JobEndpoint, NetworkInbox]:
    store = dist.PrefixStore(f"ddl_lab-{_runs}", dist.distributed_c10d._get_default_store())
    local = os.environ.get("LOCAL_WORLD_SIZE") == str(size)
    endpoint_store = dist.PrefixStore("data", store)
    control = GlooEndpoint.connect(dist.PrefixStore("control", store), rank, size, local)
    inbox = NetworkInbox(control, rank)
    memory = bytearray(Board.size(size))
    endpoint = JobEndpoint(rank, size, inbox, Slot(memory, rank), Board(memory, size), endpoint_store, local)
    return endpoint, inbox


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
        raise worker_error(endpoint.rank, failure_of(error)) from None
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


class _TimeIsOver(BaseException):
    """Raised in the thread of a worker whose time is over; no worker catches it by ``except Exception``."""


class _TimeLimit:
    """End this rank in words when the limit passes: its process where torchrun has started that for it alone.

    Else the process is somebody's (a script that goes on, an actor of Ray's), and ``StoppedRun`` is raised.
    """

    def __init__(self, endpoint: JobEndpoint, inbox: NetworkInbox, limit_s: float | None) -> None:
        self._endpoint, self._inbox, self._limit_s = endpoint, inbox, limit_s
        self._thread = threading.get_ident()
        self._said = ""
        limited = limit_s is not None and limit_s < threading.TIMEOUT_MAX
        self._timer = threading.Timer(limit_s or 0, self._over) if limited else None

    def _over(self) -> None:
        doing = self._endpoint.doing()
        self._said = (
            f"rank {self._endpoint.rank} is not finished after timeout_s={self._limit_s:g}: it {doing}"
        )
        if "TORCHELASTIC_RUN_ID" in os.environ:
            print(self._said, file=sys.stderr, flush=True)
            os._exit(1)
        raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
        raise_in_thread(ctypes.c_ulong(self._thread), ctypes.py_object(_TimeIsOver))
        self._inbox.wake()

    def __enter__(self) -> None:
        if self._timer:
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        try:
            if self._timer:
                self._timer.cancel()
                self._timer.join()  # it may be at it: what it raises is raised here, and not later
        except _TimeIsOver as over:
            error = over
        if isinstance(error, _TimeIsOver):
            raise StoppedRun(self._said) from None
