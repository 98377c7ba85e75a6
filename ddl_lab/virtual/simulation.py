"""``simulate``: every node a greenlet in this process, on the virtual clock of a ``Cluster``.

The nodes run the same function and do the same arithmetic as under ``run``; what they compute and
send advances a clock by the cluster's cost model. The same simulation gives the same bits and the
same times, always.

``Simulation`` is the same in slices, for figures that grow. Any number of them may be unfinished,
but only one at a time goes on: a worker starts none, and neither does a thread, because the global
states (random numbers, torch's modes) belong to the node that runs.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from ..cluster.model import Cluster
from ..errors import WorkerError
from ..history.history import History
from ..ranges import check_count
from ..ticker import Progress
from ..travel.capture import freeze
from ..travel.checks import SIMULATING, check_args, check_cluster, check_nodes, check_worker, refuse_inside
from .hub import Hub

MOST_NODES = 100_000
MAX_EVENTS = 5_000_000  # a minute or two; 1,024 nodes x 100 steps take a twentieth of it
SLICE_S = 0.1  # between two updates of the progress line
_USUAL = Cluster()

_dropped: list[Hub] = []  # unfinished ones whose Simulation is gone, not yet closed


class Simulation:
    """A simulation that is advanced in slices; ``simulate`` runs one to its end.

    Use it as a context manager, or call ``close``. Raises as ``simulate`` does.
    """

    def __init__(
        self,
        worker: Callable[..., Any],
        nodes: int,
        cluster: Cluster = _USUAL,
        args: Sequence[Any] = (),
        max_events: int = MAX_EVENTS,
        began_s: float = 0.0,
    ) -> None:
        """``began_s``: where the clock begins, after attempts that have failed."""
        _refuse_here("simulate")
        check_count("max_events", max_events, "as in max_events=10_000_000")
        nodes, args = check_nodes(nodes, MOST_NODES), check_args(args)
        check_worker(worker, args)
        self._hub = Hub(freeze(worker, args), nodes, check_cluster(cluster, nodes), max_events, began_s)
        self._finished = self._closed = False

    @property
    def history(self) -> History:
        """What happened so far; it grows with every slice."""
        return self._hub.history

    @property
    def now_s(self) -> float:
        """Virtual seconds until which everything has happened; nodes may be ahead of it."""
        return self._hub.events.now

    @property
    def finished(self) -> bool:
        """Whether all workers have returned."""
        return self._finished

    def advance(self, budget_s: float | None = None) -> bool:
        """Go on for ``budget_s`` wall seconds (None: to the end); whether all workers returned.

        A slice ends between two nodes' turns, so it lasts a turn at least. Random states, grad
        mode, default dtype and thread count are afterwards as they were before. Raises as
        ``simulate`` does; after an error or an interrupt all nodes have ended.
        """
        if self._finished:
            return True
        if self._closed:
            raise RuntimeError("this simulation was closed before its end: make a new one.")
        _refuse_here("advance")
        try:
            with _going_on(self._hub):
                self._finished = self._hub.run(budget_s)
        except BaseException as error:
            error.history = self.history  # type: ignore[attr-defined]
            if isinstance(error, WorkerError):
                self.history.fail(error.at_s)
            with suppress(KeyboardInterrupt):  # a second one: the first is on its way
                self.close()
            raise
        if self._finished:
            self.close()
        return self._finished

    def close(self) -> None:
        """End all nodes; their ``finally`` blocks run. The history stays."""
        if not self._closed:
            _refuse_here("close")
            self._closed = True
            with _going_on(self._hub):
                self._hub.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: Any, tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        # A suspended node keeps itself alive: it must be ended, where that is possible now.
        if getattr(self, "_closed", True) or sys.is_finalizing():
            return
        _dropped.append(self._hub)
        if not SIMULATING and threading.current_thread() is threading.main_thread():
            _close_dropped()


@contextmanager
def _going_on(hub: Hub) -> Iterator[None]:
    """While it lasts, no other simulation goes on."""
    SIMULATING.append(hub)
    try:
        yield
    finally:
        SIMULATING.clear()
        _close_dropped()


def _close_dropped() -> None:
    while _dropped:
        hub = _dropped.pop()
        SIMULATING.append(hub)
        try:
            hub.close()
        finally:
            SIMULATING.clear()


def _refuse_here(call: str) -> None:
    """Raise ``RuntimeError`` inside a simulated worker, and in a thread."""
    refuse_inside(call)
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            f"{call} in a thread: a simulation uses the main thread's random state, so it runs "
            "there only. To keep a notebook alive, advance a Simulation in slices from its event loop."
        )


def simulate(
    worker: Callable[..., Any],
    nodes: int,
    *,
    cluster: Cluster = _USUAL,
    args: Sequence[Any] = (),
    progress: bool = False,
    max_events: int = MAX_EVENTS,
) -> History:
    """Run ``worker(node, *args)`` on ``nodes`` virtual nodes, 1 to 100,000; returns the History.

    ``cluster``: what computing and sending cost. ``progress``: show how far it is. The results and
    losses of a synchronous worker are those of ``run``, to the bit. ``max_events``: so many compute spans,
    messages' steps and wake-ups are taken for a loop without an end, and ``StoppedRun`` is raised; a loop
    that takes no virtual time (it only records, posts messages or asks the time) ends by Ctrl-C only.

    Raises ``TypeError`` and ``ValueError`` for what can't be run, and the ``LabError`` that comes
    first in virtual time. ``KeyboardInterrupt`` ends it too; both carry ``.history``.
    """
    return finished(Simulation(worker, nodes, cluster, args, max_events), progress)


def finished(simulation: Simulation, progress: bool) -> History:
    """Go on with a simulation to its end: what ``simulate`` does."""
    with simulation:
        if progress:
            _advance_in_sight(simulation)
        else:
            simulation.advance()
        return simulation.history


def _advance_in_sight(simulation: Simulation) -> None:
    history = simulation.history
    line = Progress(history.nodes)
    try:
        while not simulation.advance(SLICE_S):
            line.update(history.recorders, simulation.now_s, len(history.finished_s))
    except KeyboardInterrupt as stop:
        stop.history = history  # type: ignore[attr-defined]
        raise
    finally:
        line.close(history)
