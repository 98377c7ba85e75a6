"""The greenlets of a simulation and the hub that resumes them in the order of virtual time.

A node runs ahead on its own clock until it must wait; then the hub takes the next event. Nothing that happens at
an earlier time can come from a node that is ahead, so every node sees the network as it is at its own time.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import torch
from greenlet import GreenletExit, getcurrent, greenlet
from torch import Tensor

from .capture import freeze_result, is_plain, thaw, thaw_result
from .cluster import Cluster
from .collectives import Work
from .context import NodeContext
from .errors import LabError, failure_of, mismatch_error, worker_error
from .history import History
from .meetings import Meeting
from .network import END, POLL, WAKE, Events, Network
from .node import Node
from .port import Collective, Group, Ticket
from .recorder import Recorder
from .waits import Waits

POLL_S = 1e-6  # what a look at an unfinished message costs, so that a loop of looks ends


class VirtualPort:
    """One node's ``Port`` on virtual time, and its greenlet."""

    device = torch.device("cpu")

    def __init__(self, rank: int, hub: Hub) -> None:
        self.rank = rank
        self.algorithm = hub.cluster.algorithm
        self.time = 0.0  # this node's clock: at or ahead of the hub's
        self.greenlet: greenlet | None = None
        self.context = NodeContext(rank)
        self._hub = hub

    def now(self) -> float:
        return self.time

    def computed(self, started: float, unit: str, amount: float) -> float:
        self.time = started + self._hub.cluster.compute_s(self.rank, unit, amount)
        return self.time

    def send(
        self, group: Group, tensor: Tensor, dst: int, tag: int, ticket: Ticket, snapshot: bool
    ) -> None:
        payload = tensor.clone() if snapshot else tensor
        self._hub.network.send(self.rank, dst, (group.key, tag), payload, ticket)

    def recv(self, group: Group, tensor: Tensor, tag: int, ticket: Ticket) -> None:
        self._hub.network.receive(self.rank, (group.key, tag), tensor, ticket)

    def wait(self, ticket: Ticket) -> None:
        if not ticket.done:
            self._hub.block(self, ticket)
        if ticket.ended > self.time:
            self.time = ticket.ended
        if ticket.refused is not None:
            raise ticket.refused

    def poll(self, ticket: Ticket) -> bool:
        if not ticket.done:
            self._hub.events.at(self.time, POLL, self.rank, self._hub.resume, self)
            self._hub.switch()  # to all that happens until this node's time
        if not ticket.done:
            self.time += POLL_S
        elif ticket.refused is not None:
            raise ticket.refused
        return ticket.done

    def collective(self, group: Group, work: Collective) -> tuple[float, float]:
        meeting = self._hub.meet(self, group, work)
        self._hub.block(self, meeting)
        self.time = meeting.ends
        return meeting.latest, meeting.ends


class Hub:
    """Runs the nodes of one simulation, in ``run`` and ``close``; whoever calls these is the hub."""

    def __init__(self, frozen: bytes, nodes: int, cluster: Cluster) -> None:
        self.cluster, self.events, self.waits = cluster, Events(), Waits()
        self.network = Network(cluster, nodes, self.events, self._settled, self._doubt)
        self.history = History("virtual", [Recorder() for _ in range(nodes)], [None] * nodes)
        self._frozen, self._ranks = frozen, tuple(range(nodes))
        self._ports = [VirtualPort(rank, self) for rank in range(nodes)]
        self._meetings: dict[tuple[int, int], Meeting] = {}  # by group and its count of collectives
        self._inside: VirtualPort | None = None  # the node whose global states are in force
        self._home = getcurrent()
        self._closing = False
        for port in self._ports:
            self.events.at(0.0, WAKE, port.rank, self._start, port)

    def run(self, budget_s: float | None) -> bool:
        """Let events happen for ``budget_s`` wall seconds, None: to the end; whether that is reached."""
        until = float("inf") if budget_s is None else time.perf_counter() + budget_s
        with self._at_home():
            more = self.events.run(until)
        finished = len(self.waits.returned) == len(self._ports)
        if not more and not finished:
            raise self.waits.deadlock()
        return finished

    def close(self) -> None:
        """End all nodes where they stand. Their ``finally`` blocks run; what these raise is lost."""
        self._closing = True
        with self._at_home():
            for port in self._ports:
                self._end(port)
        self.events.clear()
        self.network.clear()
        self._meetings.clear()

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Nodes return to here, and the caller finds torch's and Python's global states as they were."""
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
        if port.greenlet is not None:
            self._enter(port)
            with suppress(Exception):
                port.greenlet.throw(GreenletExit)
            port.greenlet = None

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
        if self._closing:  # a worker that caught its end and calls again
            raise GreenletExit
        self._home.switch()

    def resume(self, port: VirtualPort) -> None:
        """Run a node until it waits or ends."""
        self._enter(port)
        assert port.greenlet is not None
        port.greenlet.switch()

    def _enter(self, port: VirtualPort) -> None:
        """Put a node's global states in force."""
        if port is not self._inside:
            if self._inside is not None:
                self._inside.context.leave()
            self._inside = port
            port.context.enter()

    def _settled(self, rank: int, ticket: Ticket) -> None:
        if self.waits.on.get(rank) is ticket:
            self.resume(self._ports[rank])

    def meet(self, port: VirtualPort, group: Group, work: Collective) -> Meeting:
        """Enter a collective. The last to come does the arithmetic for all."""
        place = (group.key, group.calls)
        meeting = self._meetings.get(place)
        if meeting is None:
            meeting = self._meetings[place] = Meeting(group.ranks)
        if meeting.enter(port.rank, work, port.time):
            del self._meetings[place]
            if meeting.agreed():
                self._carry_out(meeting, work)
            else:
                self._fail(meeting.latest, port.rank, mismatch_error(meeting.calls()))
        return meeting

    def _carry_out(self, meeting: Meeting, work: Collective) -> None:
        meeting.carry_out()
        size = work.own.element_size()
        cost = Work(work.name, tuple(count * size for count in work.chunks), work.src)
        meeting.ends = meeting.latest + self.cluster.collective_s(cost)
        for rank in meeting.ranks:
            self.events.at(meeting.ends, WAKE, rank, self.resume, self._ports[rank])

    # A node's life.

    def _start(self, port: VirtualPort) -> None:
        port.greenlet = greenlet(self._live, self._home)
        port.greenlet.gr_context = contextvars.copy_context()  # where a notebook's prints go to
        self._enter(port)
        port.greenlet.switch(port)

    def _live(self, port: VirtualPort) -> None:
        try:
            self.history.results[port.rank] = self._work(port)
        except BaseException as error:
            if self._closing or isinstance(error, KeyboardInterrupt):
                raise
            self._fail(port.time, port.rank, worker_error(port.rank, failure_of(error)))
        else:
            self.events.at(port.time, END, port.rank, self._returned, port)

    def _work(self, port: VirtualPort) -> Any:
        worker, args = thaw(self._frozen)
        node = Node(port, self.history.recorders[port.rank], self._ranks)
        result = worker(node, *args)
        node._finish()
        return result if is_plain(result) else thaw_result(freeze_result(result, port.rank))

    def _returned(self, port: VirtualPort) -> None:
        port.greenlet = None
        self.history.finished_s[port.rank] = port.time
        self.network.close(port.rank)
        self.waits.returned.add(port.rank)
        if len(self.waits.returned) == len(self._ports):
            self.events.clear()  # messages that nobody takes
        for rank in tuple(self.waits.on):
            self._doubt(rank)

    # Ends. They wait for their time, so that the earliest in virtual time is the one that is told.

    def _fail(self, at: float, rank: int, error: LabError) -> None:
        self.events.at(at, END, rank, self._raise, error)

    def _raise(self, error: LabError) -> NoReturn:
        raise error

    def _doubt(self, rank: int) -> None:
        """Look at this node's wait once all is in that comes at its time."""
        if self.waits.suspect(rank):
            at = max(self.events.now, self._ports[rank].time)
            self.events.at(at, END, rank, self._check, self._ports[rank])

    def _check(self, port: VirtualPort) -> None:
        ahead = port.time > self.events.now  # it has gone on since; that wait has its own check
        if not ahead and not self.network.is_coming(port.rank) and self.waits.vain(port.rank):
            raise self.waits.deadlock()
