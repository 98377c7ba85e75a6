"""``run`` and ``start``: real processes, watched from a thread, ended in every case."""

from __future__ import annotations

import numbers
import signal
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ..cluster.model import Cluster
from ..errors import WorkerError
from ..history.history import History
from ..ticker import Progress
from ..travel.capture import freeze, thaw_result
from . import torchrun
from .plan import Plan, is_rank, plan, tell_of_ignored_job
from .watch.interrupts import Interrupts, begins, uninterrupted
from .watch.supervisor import Supervisor

_SHOW_S = 0.1  # how often progress and what workers print are shown


def run(
    worker: Callable[..., Any],
    nodes: int,
    *,
    device: str = "cpu",
    transport: str = "auto",
    cluster: Cluster | None = None,
    timeout_s: float | None = None,
    args: Sequence[Any] = (),
    progress: bool = True,
) -> History:
    """Run ``worker(node, *args)`` in ``nodes`` operating-system processes and wait for all.

    Every rank starts fresh, with its own copy of what the worker captures, one torch thread, and global
    random states seeded by its rank. ``device``: "cpu", or "cuda": rank r on visible GPU r modulo their
    number. ``transport``: "shm" (shared memory; what "auto" takes), "gloo" (the network's library) or "nccl"
    (what "auto" takes where each rank has a GPU).
    ``cluster``: take the time that this cluster would ("paced": compute spans are filled up, messages
    held back). ``progress``: show each rank's newest metrics and what workers print; False silences both.

    Raises ``ValueError`` or ``TypeError`` for bad arguments before anything starts; a ``LabError``
    (``WorkerError``, ``DeadlockError``, ``CollectiveMismatch``, ``StoppedRun``) with the history so
    far; ``KeyboardInterrupt`` with ``.history`` after Ctrl-C or Stop, when all processes have ended.
    """
    asked = plan(worker, nodes, device, transport, cluster, timeout_s, args)
    if is_rank():
        return torchrun.run_as_rank(worker, args, asked)
    return carry_out(worker, args, asked, progress)


def carry_out(worker: Callable[..., Any], args: Sequence[Any], asked: Plan, progress: bool) -> History:
    """Start a run as planned, and wait for its end: what ``run`` does once all is checked."""
    runs: list[Run] = []
    try:
        with Interrupts(runs):
            return Run(freeze(worker, tuple(args)), asked, progress)._begin()._watch()
    except BaseException:  # also an interrupt that came just as they were let through again
        with Interrupts(runs):
            raise


def start(
    worker: Callable[..., Any],
    nodes: int,
    *,
    device: str = "cpu",
    transport: str = "auto",
    cluster: Cluster | None = None,
    timeout_s: float | None = None,
    args: Sequence[Any] = (),
    progress: bool = True,
) -> Run:
    """As ``run``, but return at once: the ``Run``'s ``history`` grows, ``wait`` and ``stop`` end it.

    What workers print is shown by ``wait``, and until then kept.
    """
    asked = plan(worker, nodes, device, transport, cluster, timeout_s, args)
    if is_rank():
        raise ValueError("start() under torchrun: this process is one rank of a job already; use run().")
    return Run(freeze(worker, tuple(args)), asked, progress)._begin()


class Run:
    """A run that goes on in the background. Its processes end with it, or with this process."""

    def __init__(self, payload: bytes, plan: Plan, progress: bool) -> None:
        self._plan = plan
        self._progress = Progress(plan.nodes) if progress else None
        self._warned: set[str] = set()
        self._supervisor = Supervisor(payload, plan, weakref.ref(self))

    @uninterrupted
    def _begin(self) -> Run:
        tell_of_ignored_job()
        if self._progress and self._plan.note:
            print(self._plan.note)
        begins(self)
        self._supervisor.start()
        return self

    @property
    def pids(self) -> list[int]:
        """Process ids by rank, once the workers have been forked."""
        return list(self._supervisor.pids)

    @property
    def done(self) -> bool:
        """Whether the run has ended and its processes are gone."""
        return self._supervisor.done.is_set()

    @property
    def history(self) -> History:
        """What has been recorded so far."""
        run = self._supervisor
        results = [self._result(rank) for rank in range(self._plan.nodes)]
        about: dict[str, Any] = {"engine": "processes", "transport": self._plan.transport}
        about |= {"device": self._plan.device, "marks": list(run.marks)}
        clock = "wall" if self._plan.cluster is None else "paced"
        history = History(clock, run.recorders, results, dict(run.finished), about, run.startup_s)
        if run.failed_s is not None:
            history.fail(run.failed_s)
        return history

    def _result(self, rank: int) -> Any:
        """What ``rank`` has returned, None until then; rebuilding it runs its classes' own code."""
        run = self._supervisor
        if rank not in run.results:
            return None
        try:
            return thaw_result(run.results[rank])
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            said = f"rank {rank} returned something that can't be rebuilt in this process: {why}"
            run.error = run.error or WorkerError(said, rank, type(error).__name__, run.finished[rank])
            return None

    @uninterrupted
    def wait(self) -> History:
        """Wait for the end, showing progress and what workers print; raises what ``run`` raises."""
        return self._watch()

    def _watch(self) -> History:
        run = self._supervisor
        while not run.done.wait(_SHOW_S):
            self._show()
        self._show()
        history = self.history
        if run.error is not None:
            run.error.history = history
            raise run.error from None
        if self._progress:
            self._progress.close(history)
        return history

    def _end(self, reason: str, wait: bool = True) -> None:
        """End the run, if it has begun, and (if told) see its processes gone, which takes seconds at most."""
        self._supervisor.stop(reason, wait and self._supervisor.ident is not None)

    @uninterrupted
    def stop(self) -> None:
        """End all processes now and wait until they are gone; ``wait`` then raises ``StoppedRun``."""
        self._end("stopped by Run.stop()")

    # the learner's hands: each acts within a fifth of a second, and stands as a mark on the timeline

    def slow(self, rank: int, factor: float) -> None:
        """Let the compute spans of ``rank`` take ``factor`` times as long from now on; 1 undoes it."""
        if not isinstance(factor, numbers.Real) or not 1 <= factor < float("inf"):
            raise ValueError(f"slow(factor={factor!r}): it takes a number from 1 up.")
        self._supervisor.slow(self._known(rank), float(factor))

    def pause(self, rank: int) -> None:
        """Stop the process of ``rank`` where it stands (SIGSTOP), until ``resume``."""
        self._supervisor.signal(self._known(rank), signal.SIGSTOP, "paused")

    def resume(self, rank: int) -> None:
        """Let the paused process of ``rank`` go on (SIGCONT)."""
        self._supervisor.signal(self._known(rank), signal.SIGCONT, "resumed")

    def kill(self, rank: int) -> None:
        """Kill the process of ``rank`` (SIGKILL); ``wait`` then raises a ``WorkerError`` that names it."""
        self._supervisor.signal(self._known(rank), signal.SIGKILL, "killed")

    def _known(self, rank: int) -> int:
        last = self._plan.nodes - 1
        if not isinstance(rank, numbers.Integral) or isinstance(rank, bool) or not 0 <= rank <= last:
            raise ValueError(f"rank {rank!r}: the ranks of this run are whole numbers 0 to {last}.")
        return int(rank)

    def _show(self) -> None:
        run = self._supervisor
        while run.printed:
            rank, stream, text = run.printed.popleft()
            if stream == "warning" and text in self._warned:  # once, not once per rank
                continue
            if stream == "warning":
                self._warned.add(text)
            if self._progress:
                lines = "".join(f"[rank {rank}] {line}\n" for line in text.split("\n"))
                file = sys.stdout if stream == "stdout" else sys.stderr
                code = getattr(file, "encoding", None) or "utf-8"
                print(lines.encode(code, "backslashreplace").decode(code), end="", file=file, flush=True)
        if self._progress and run.origin is not None and not run.done.is_set():
            elapsed = time.monotonic() - run.origin
            self._progress.update(run.recorders, elapsed, len(run.finished))
