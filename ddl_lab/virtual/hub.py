"""The hub of a simulation: the lives of its nodes, from their start to their end, in virtual time.

A node runs ahead on its own clock until it must wait; then the hub takes the next event. What a
node does can only matter to others at its own time or later, so running ahead changes nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from ..cluster.model import Cluster
from ..errors import failed_error, failure_of, worker_error
from ..history.history import History
from ..history.recorder import Recorder
from ..node.node import Node
from ..node.port import Ticket
from ..travel.capture import freeze_result, is_plain, own_modules, thaw, thaw_result, unwrapped
from ..travel.modules import Spaces
from .failures import Failures
from .meetings import Meeting, Meetings
from .network import END, WAKE, Events, Network
from .port import VirtualPort
from .turns import Turns
from .waits import Waits


class Hub:
    """Runs the nodes of one simulation in ``run`` and ``close``; whoever calls these is at home."""

    def __init__(self, frozen: bytes, nodes: int, cluster: Cluster, max_events: int, began_s: float) -> None:
        self.events, self._cluster, self._frozen = Events(max_events, began_s), cluster, frozen
        self._failures = Failures(cluster, nodes, began_s)
        self._waits = Waits(self.events, lambda rank: self._network.is_coming(rank))
        names = own_modules(frozen)
        self._turns = turns = Turns(nodes, self._waits, Spaces(names) if names else None)
        self._network = Network(cluster, nodes, self.events, self._settled, self._waits.doubt)
        self._meetings = Meetings(cluster, self.events, self._settled)
        world = cluster, self.events, self._network, self._meetings, turns, self._failures
        self._ports = [VirtualPort(rank, *world) for rank in range(nodes)]
        recorders = [Recorder() for _ in range(nodes)]
        self.history = History("virtual", recorders, [None] * nodes, about={"engine": "simulate"})
        self._ranks = tuple(range(nodes))
        self._closing = False
        for rank in self._ranks:
            self.events.at(began_s, WAKE, rank, self._start, rank)
        for rank, at_s in self._failures.at_s.items():
            self.events.at(at_s, END, rank, self._die, rank)

    def run(self, budget_s: float | None) -> bool:
        """Let events happen for ``budget_s`` wall seconds (None: all); whether the end is reached."""
        until = float("inf") if budget_s is None else time.perf_counter() + budget_s
        with self._turns.at_home():
            more = self.events.run(until)
        finished = len(self._waits.returned) == len(self._ports)
        if not more and not finished:
            raise self._waits.deadlock()
        return finished

    def close(self) -> None:
        """End all nodes where they stand."""
        self._closing = True
        stop = None
        with self._turns.at_home():
            for rank in self._ranks:
                try:
                    self._turns.end(rank)
                except KeyboardInterrupt as interrupt:  # the others must end all the same
                    stop = interrupt
        self.events.clear()
        self._network.clear()
        self._meetings.clear()
        if stop is not None:
            raise stop

    def _settled(self, rank: int, on: Ticket | Meeting) -> None:
        if self._waits.on.get(rank) is on:
            self._turns.resume(rank)

    # A node's life.

    def _start(self, rank: int) -> None:
        self._turns.start(rank, self._live)

    def _live(self, rank: int) -> None:
        worker: Any = None
        port = self._ports[rank]
        try:
            worker, args = thaw(self._frozen)
            self.history.results[rank] = self._work(port, worker, args)
        except BaseException as error:
            if self._closing or isinstance(error, KeyboardInterrupt):
                raise
            self.events.fail(port.time, rank, worker_error(rank, failure_of(error), port.time))
        else:
            self.events.at(port.time, END, rank, self._returned, rank)
        finally:
            _let_go(worker)

    def _work(self, port: VirtualPort, worker: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        node = Node(port, self.history.recorders[port.rank], self._ranks)
        result = worker(node, *args)
        node._finish()
        return result if is_plain(result) else thaw_result(freeze_result(result, port.rank))

    def _returned(self, rank: int) -> None:
        self._turns.returned(rank)
        self.history.finished_s[rank] = self._ports[rank].time
        self._network.close(rank)
        self._waits.returned.add(rank)
        if len(self._waits.returned) == len(self._ports):
            self.events.clear()  # what is still on its way, nobody takes
        for other in tuple(self._waits.on):
            self._waits.doubt(other)

    def _die(self, rank: int) -> None:
        """The cluster lets this node fail now; nobody has got further."""
        if rank in self._waits.returned:
            for held in self._failures.passed():
                self._turns.resume(held)
            return
        stuck = len(self._waits.on) + len(self._waits.returned) == len(self._ports)
        if stuck and self.events.only(self._die):  # real nodes would have been found stuck at once
            raise self._waits.deadlock()
        raise failed_error(rank, self.events.now, self._cluster.failing(rank))


def _let_go(worker: Any) -> None:
    """Empty the globals of a node's own copy of the worker, which hold what it captured.

    Functions hold their globals and these hold the functions. Python looks for such cycles rarely, and each
    move of a slider would leave a model a node in them.
    """
    names = getattr(unwrapped(worker), "__globals__", {})
    module = sys.modules.get(names.get("__name__", ""))
    if module is not None and names is not vars(module):  # a worker of a library is no copy
        names.clear()
