"""What a simulation supplies to one node: a clock of its own, and the virtual network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..cluster.model import Cluster
from ..node.port import Collective, Group, Ticket
from ..node.snapshot import Snapshot
from .failures import Failures
from .meetings import Meeting, Meetings
from .network import POLL, Events, Network
from .turns import Turns

POLL_S = 1e-6  # what a look at an unfinished message costs, so that a loop of looks ends


class VirtualPort:
    """One node's ``Port`` on virtual time."""

    device = torch.device("cpu")
    modelled = True

    def __init__(
        self,
        rank: int,
        cluster: Cluster,
        events: Events,
        network: Network,
        meetings: Meetings,
        turns: Turns,
        failures: Failures,
    ) -> None:
        self.rank, self.algorithm = rank, ""
        self.chooses = cluster.algorithm == "auto"
        self.time = events.now  # this node's clock: where the hub's is, or ahead of it
        self._computed = 0  # compute spans so far
        self._span_ends = 0.0
        self._fails_s = failures.of(rank)
        self._failures = failures
        self._cluster, self._events, self._turns = cluster, events, turns
        self._network, self._meetings = network, meetings

    def now(self) -> float:
        return self.time

    def computes(self, unit: str, amount: float) -> float:
        self._computed += 1
        self._span_ends = self.time + self._cluster.span_s(self.rank, unit, amount, self._computed)
        if self._span_ends > self._fails_s:  # it dies in the span, of which nothing is done: the hub says why
            self._turns.give_way()
        return self.time

    def computed(self, started: float) -> float:
        self._reach(self._span_ends)
        if self._events.count():  # it gets no further
            self._turns.give_way()
        return self.time

    def _reach(self, time_s: float) -> None:
        """Set the clock forward, once no failure before ``time_s`` can end the run."""
        self.time = time_s
        while time_s > self._failures.next_s:
            self._failures.hold(self.rank)
            self._turns.give_way()

    def send(self, group: Group, tensor: Tensor, dst: int, tag: int, ticket: Ticket, snapshot: bool) -> None:
        payload = tensor.clone() if snapshot else tensor
        if snapshot:
            ticket.snapshot = Snapshot(payload)
        self._network.send(self.rank, dst, (group.key, tag), payload, ticket)

    def recv(self, group: Group, tensor: Tensor, tag: int, ticket: Ticket) -> None:
        self._network.receive(self.rank, (group.key, tag), tensor, ticket)

    def wait(self, ticket: Ticket) -> None:
        if not ticket.done:
            self._turns.block(self.rank, self.time, ticket)
        if ticket.ended > self.time:
            self.time = ticket.ended
        if ticket.refused is not None:
            raise ticket.refused

    def poll(self, ticket: Ticket) -> bool:
        done = self._looks_done(lambda: ticket.done)
        if done and ticket.refused is not None:
            raise ticket.refused
        return done

    def _looks_done(self, done: Callable[[], bool]) -> bool:
        if not done():
            self._events.at(self.time, POLL, self.rank, self._turns.resume, self.rank)
            self._turns.give_way()  # all happens until this node's time
        if over := done():
            return over
        self._reach(self.time + POLL_S)
        return False

    def collective(self, group: Group, work: Collective) -> tuple[float, float]:
        return self.finish(self.start(group, work))

    def copied(self, tensor: Tensor) -> Tensor:
        return tensor.clone()

    def start(self, group: Group, work: Collective) -> Meeting:
        return self._meetings.enter(self.rank, self.time, group, work)

    def finish(self, posted: Meeting) -> tuple[float, float]:
        if not posted.over:
            if posted.first < 0:
                posted.first = self.rank
            self._turns.block(self.rank, self.time, posted)
        posted.take(self.rank)
        self.algorithm = posted.algorithm
        if posted.ends > self.time:
            self.time = posted.ends
        return posted.begins, posted.ends

    def look(self, posted: Meeting) -> bool:
        return self._looks_done(lambda: posted.over)
