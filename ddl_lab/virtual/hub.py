"""The greenlets of a simulation, and the hub that resumes them in the order of virtual time.

A node runs ahead on its own clock until it must wait; then the hub takes the next event. What a
node does can only matter to others at its own time or later, so running ahead changes nothing.
"""

from __future__ import annotations

import contextvars
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

from greenlet import GreenletExit, getcurrent, greenlet

from ..cluster.collectives import Work
from ..cluster.model import Cluster
from ..errors import LabError, failed_error, failure_of, mismatch_error, worker_error
from ..history.history import History
from ..history.recorder import Recorder
from ..node.context import NodeContext
from ..node.node import Node
from ..node.port import Collective, Group, Ticket
from ..travel.capture import freeze_result, is_plain, thaw, thaw_result
from .meetings import Meeting
from .network import END, WAKE, Events, Network
from .port import VirtualPort
from .waits import Waits

_unwilling: list[Any] = []  # greenlets that nothing ends: freeing them would try it again


class Hub:
    """Runs the nodes of one simulation in ``run`` and ``close``; whoever calls these is the hub."""

    def __init__(self, frozen: bytes, nodes: int, cluster: Cluster, max_events: int) -> None:
        self.cluster, self.events, self.waits = cluster, Events(max_events), Waits()
        self.network = Network(cluster, nodes, self.events, self._settled, self._doubt)
        recorders = [Recorder() for _ in range(nodes)]
        self.history = History("virtual", recorders, [None] * nodes, about={"engine": "simulate"})
        self._frozen, self._ranks = frozen, tuple(range(nodes))
        self._ports = [VirtualPort(rank, self) for rank in range(nodes)]
        self._meetings: dict[tuple[int, int], Meeting] = {}  # by group and its count of collectives
        self._inside: VirtualPort | None = None  # the node whose global states are in force
        self._home = getcurrent()
        self._closing = False
        for port in self._ports:
            self.events.at(0.0, WAKE, port.rank, self._start, port)
        for rank, at_s in cluster.fails.items():
            self.events.at(at_s, END, rank, self._die, self._ports[rank])

    def run(self, budget_s: float | None) -> bool:
        """Let events happen for ``budget_s`` wall seconds (None: all); whether the end is reached."""
        until = float("inf") if budget_s is None else time.perf_counter() + budget_s
        with self._at_home():
            more = self.events.run(until)
        finished = len(self.waits.returned) == len(self._ports)
        if not more and not finished:
            raise self.waits.deadlock()
        return finished

    def close(self) -> None:
        """End all nodes where they stand; their ``finally`` blocks run, what those raise is lost."""
        self._closing = True
        stop = None
        with self._at_home():
            for port in self._ports:
                try:
                    self._end(port)
                except KeyboardInterrupt as interrupt:  # the others must end all the same
                    stop = interrupt
        self.events.clear()
        self.network.clear()
        self._meetings.clear()
        if stop is not None:
            raise stop

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Nodes come back to here, and the caller finds the global states as they were."""
        self._home = getcurrent()
        for port in self._ports:
            if port.greenlet is not None:
                port.greenlet.parent = self._home
        outer = NodeContext.current()
        try:
            yield
        finally:
            if self._inside is not None:
                self._inside.context.leave()
                self._inside = None
            outer.enter()

    def _end(self, port: VirtualPort) -> None:
        node, port.greenlet = port.greenlet, None
        for _ in range(3 if node is not None else 0):  # it may catch its end, and call the node again
            self._enter(port)
            try:
                node.throw(GreenletExit)
            except KeyboardInterrupt:
                raise
            except BaseException:  # by a ``finally`` of the worker: a real node dies without a word
                pass
            if node.dead:
                return
        if node is not None:
            _unwilling.append(node)
            warnings.warn(f"rank {port.rank} could not be ended: its except catches all.", stacklevel=2)

    # Switching: ``block`` and ``switch`` are called in a node's greenlet, ``resume`` in the hub's.

    def block(self, port: VirtualPort, on: Ticket | Meeting) -> None:
        """Let others run until ``on`` is done."""
        self.waits.on[port.rank] = on
        if self.waits.returned:
            self._doubt(port.rank)
        self.switch()
        del self.waits.on[port.rank]

    def switch(self) -> None:
        """Let the hub go on."""
        self._home.switch()

    def resume(self, port: VirtualPort) -> None:
        """Run a node until it waits or ends."""
        if port is not self._inside:
            self._enter(port)
        port.greenlet.switch()

    def _enter(self, port: VirtualPort) -> None:
        """Put a node's global states in force."""
        if self._inside is not None:
            self._inside.context.leave()
        self._inside = port
        port.context.enter()

    def _settled(self, rank: int, ticket: Ticket) -> None:
        if self.waits.on.get(rank) is ticket:
            self.resume(self._ports[rank])

    def meet(self, port: VirtualPort, group: Group, work: Collective) -> Meeting:
        """Enter a collective; who comes last does the arithmetic for all."""
        place = (group.key, group.calls)
        meeting = self._meetings.get(place)
        if meeting is None:
            meeting = self._meetings[place] = Meeting(group.ranks, port.rank, group.calls + 1)
        if meeting.enter(port.rank, work, port.time):
            del self._meetings[place]
            if meeting.agreed():
                self._carry_out(meeting, work)
            else:
                self._fail(meeting.latest, port.rank, mismatch_error(meeting.calls(), nth=meeting.nth))
        return meeting

    def _carry_out(self, meeting: Meeting, work: Collective) -> None:
        meeting.carry_out()
        size = work.own.element_size()
        cost = Work(work.name, tuple(count * size for count in work.chunks), work.src)
        meeting.algorithm, seconds = self.cluster.priced(cost, meeting.ranks)
        meeting.ends = meeting.latest + seconds
        for rank in meeting.ranks:
            self.events.at(meeting.ends, WAKE, rank, self.resume, self._ports[rank])

    # A node's life.

    def _start(self, port: VirtualPort) -> None:
        port.greenlet = greenlet(self._live, self._home)
        port.greenlet.gr_context = contextvars.copy_context()  # tells a notebook which cell prints
        self._enter(port)
        port.greenlet.switch(port)

    def _live(self, port: VirtualPort) -> None:
        worker: Any = None
        try:
            worker, args = thaw(self._frozen)
            self.history.results[port.rank] = self._work(port, worker, args)
        except BaseException as error:
            if self._closing or isinstance(error, KeyboardInterrupt):
                raise
            self._fail(port.time, port.rank, worker_error(port.rank, failure_of(error)))
        else:
            self.events.at(port.time, END, port.rank, self._returned, port)
        finally:
            _let_go(worker)

    def _work(self, port: VirtualPort, worker: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        node = Node(port, self.history.recorders[port.rank], self._ranks)
        result = worker(node, *args)
        node._finish()
        return result if is_plain(result) else thaw_result(freeze_result(result, port.rank))

    def _returned(self, port: VirtualPort) -> None:
        port.greenlet, port.context = None, NodeContext(port.rank)  # the old one's states may go
        self.history.finished_s[port.rank] = port.time
        self.network.close(port.rank)
        self.waits.returned.add(port.rank)
        if len(self.waits.returned) == len(self._ports):
            self.events.clear()  # what is still on its way, nobody takes
        for rank in tuple(self.waits.on):
            self._doubt(rank)

    # Ends. They wait for their time, so that the one that is told is the first in virtual time.

    def _fail(self, at: float, rank: int, error: LabError) -> None:
        self.events.at(at, END, rank, self._raise, error)

    def _die(self, port: VirtualPort) -> None:
        """The cluster lets this node fail now; it has not got further."""
        if port.rank in self.waits.returned:
            return
        stuck = len(self.waits.on) + len(self.waits.returned) == len(self._ports)
        if stuck and self.events.only(self._die):  # real nodes would have been found stuck at once
            raise self.waits.deadlock()
        raise failed_error(port.rank, self.cluster.fails[port.rank])

    def _raise(self, error: LabError) -> NoReturn:
        raise error

    def _doubt(self, rank: int) -> None:
        """Look at the wait of ``rank`` once all is in that comes at its time."""
        if self.waits.suspect(rank):
            at = max(self.events.now, self._ports[rank].time)
            self.events.at(at, END, rank, self._check, self._ports[rank])

    def _check(self, port: VirtualPort) -> None:
        ahead = port.time > self.events.now  # it went on since; the wait it is in has its own check
        if not ahead and not self.network.is_coming(port.rank) and self.waits.vain(port.rank):
            raise self.waits.deadlock()


def _let_go(worker: Any) -> None:
    """Empty the globals of a node's own copy of the worker, which hold what it captured.

    Functions hold their globals and these hold the functions. Python looks for such cycles rarely, and each
    move of a slider would leave a model a node in them.
    """
    while isinstance(worker, partial):
        worker = worker.func
    names = getattr(getattr(worker, "__func__", worker), "__globals__", {})
    module = sys.modules.get(names.get("__name__", ""))
    if module is not None and names is not vars(module):  # a worker of a library is no copy
        names.clear()
