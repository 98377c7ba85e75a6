"""``simulate``: every node a greenlet in this process, on the virtual clock of a ``Cluster``.

The nodes run the same function and do the same arithmetic as under ``run``; what they compute and send advances a
clock by the cluster's cost model. The same simulation gives the same bits and the same times, always.

``Simulation`` is the same in slices, for figures that grow. One simulation can be unfinished while another runs; only
one can be running: a worker starts none, and neither does a thread, because global states (random numbers, torch's
modes) belong to the running node.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from .capture import freeze
from .checks import check_args, check_nodes, check_worker
from .cluster import Cluster
from .history import History
from .hub import Hub

MOST_NODES = 100_000
SLICE_S = 0.1

_running: list[Hub] = []  # the one that is running, if any
_left_open: list[Hub] = []  # dropped where they could not be closed


class Simulation:
    """A simulation that is advanced in slices; ``simulate`` runs one to its end.

    Use it as a context manager, or call ``close``. Raises as ``simulate`` does.
    """

    def __init__(
        self,
        worker: Callable[..., Any],
        nodes: int,
        cluster: Cluster = Cluster(),
        args: Sequence[Any] = (),
    ) -> None:
        refuse_here("simulate")
        if not isinstance(cluster, Cluster):
            raise TypeError(
                f"cluster must be a Cluster, got {cluster!r:.60}: try cluster=Cluster(latency_s=50e-6)."
            )
        nodes = check_nodes(nodes, MOST_NODES)
        args = check_args(args)
        check_worker(worker, args)
        cluster.check_nodes(nodes)
        self._hub = Hub(freeze(worker, args), nodes, cluster)
        self._finished = self._closed = False

    @property
    def history(self) -> History:
        """What happened so far; it grows with every slice."""
        return self._hub.history

    @property
    def now_s(self) -> float:
        """Virtual seconds until which all has happened."""
        return self._hub.events.now

    @property
    def finished(self) -> bool:
        """Whether all workers have returned."""
        return self._finished

    def advance(self, budget_s: float | None = None) -> bool:
        """Go on for about ``budget_s`` wall seconds (None: to the end); whether all workers have returned.

        A slice ends between two nodes' turns, so it takes at least one turn's time. Random states, grad mode,
        default dtype and thread count are afterwards as they were before. Raises as ``simulate`` does; after an
        error, or an interrupt, all nodes have ended.
        """
        if self._finished:
            return True
        refuse_here("advance")
        if self._closed:
            raise RuntimeError("this simulation was closed before its end: make a new one.")
        try:
            with _Running(self._hub):
                self._finished = self._hub.run(budget_s)
        except BaseException as error:
            error.history = self.history  # type: ignore[attr-defined]
            self.close()
            raise
        if self._finished:
            self.close()
        return self._finished

    def close(self) -> None:
        """End all nodes. The history stays."""
        if not self._closed:
            refuse_here("close")
            self._closed = True
            with _Running(self._hub):
                self._hub.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: Any, tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        # Suspended nodes keep themselves alive: dropping the simulation must end them.
        if getattr(self, "_closed", True) or sys.is_finalizing():
            return
        _left_open.append(self._hub)
        if not _running and threading.current_thread() is threading.main_thread():
            _close_left_open()


class _Running:
    """While it lasts, no other simulation runs."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __enter__(self) -> None:
        _running.append(self._hub)

    def __exit__(self, kind: type[BaseException] | None, e: Any, tb: TracebackType | None) -> None:
        _running.clear()
        _close_left_open()


def _close_left_open() -> None:
    while _left_open:
        hub = _left_open.pop()
        _running.append(hub)
        try:
            hub.close()
        finally:
            _running.clear()


def refuse_here(call: str) -> None:
    """Raise ``RuntimeError`` inside a simulated worker and outside the main thread."""
    if _running:
        raise RuntimeError(
            f"{call} inside a simulation: a worker is one node and starts no others; call it from outside."
        )
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            f"{call} in a thread: a simulation changes the main thread's random state, so it runs there "
            "only. Advance a Simulation in slices instead, from the event loop."
        )


def simulate(
    worker: Callable[..., Any],
    nodes: int,
    *,
    cluster: Cluster = Cluster(),
    args: Sequence[Any] = (),
    progress: bool = False,
) -> History:
    """Run ``worker(node, *args)`` on ``nodes`` virtual nodes, 1 to 100,000; returns the History.

    ``cluster``: what computing and sending cost, ``Cluster()`` unless told. ``progress``: a line that tells how far
    it is. The results and losses of a synchronous worker are those of ``run``, to the bit.

    Raises ``TypeError``, ``ValueError`` for what it can't run, and the kinds of ``LabError``: what ends the simulation
    at the earliest virtual time. ``KeyboardInterrupt`` ends it too; both carry ``.history``.
    """
    with Simulation(worker, nodes, cluster, args) as simulation:
        if not progress:
            simulation.advance()
        while not simulation.advance(SLICE_S):
            pass
        return simulation.history
