"""Messages on a virtual network: the event queue, the links, and who receives what.

A message of S bytes posted at time t (LogGP; long messages: Alexandrov et al. 1995):

1. it leaves at s = max(t, sender's outgoing link free), which it occupies for S / bandwidth;
2. its head comes to the receiver at s + latency, and waits there for the incoming link;
3. it occupies the incoming link for S / bandwidth; when that ends, it has arrived.

Links are given out in the order in which heads come, at one instant to the lowest rank first. Messages are
eager: they travel whether or not a receive is posted. The first receive that was posted takes the first
message to arrive that fits, once all is in that arrives at that instant.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from typing import Any, NoReturn

from torch import Tensor

from ..cluster.model import Cluster
from ..errors import LabError, StoppedRun
from ..node.lines import Key
from ..node.port import Ticket, misfit
from .mail import Mailbox, Message, Receive

# What comes first at one instant: a node that looks (poll) sees all that arrives then; ends are last.
HEAD, ARRIVAL, WAKE, MATCH, POLL, END = range(6)


class Events:
    """What is to happen, by virtual time; ties by kind, then rank, then the order of entry.

    ``limit``: after so many, ``run`` raises ``StoppedRun``.
    """

    def __init__(self, limit: int, began_s: float) -> None:
        self.now = began_s
        self.limit = limit
        self._heap: list[tuple[float, int, int, int, Callable[[Any], None], Any]] = []
        self._entered = 0

    def at(self, time_s: float, kind: int, rank: int, action: Callable[[Any], None], subject: Any) -> None:
        """Call ``action(subject)`` at ``time_s``."""
        self._entered += 1
        heapq.heappush(self._heap, (time_s, kind, rank, self._entered, action, subject))

    def fail(self, time_s: float, rank: int, error: LabError) -> None:
        """Raise ``error`` at ``time_s``: of several, ``run`` then raises the first in virtual time."""
        self.at(time_s, END, rank, _raise, error)

    def count(self) -> bool:
        """Count what needs no event, a compute span; whether the limit is passed."""
        self._entered += 1
        return self._entered > self.limit

    def only(self, action: Callable[[Any], None]) -> bool:
        """Whether nothing but ``action`` is to happen any more."""
        return all(event[4] == action for event in self._heap)

    def all_in(self) -> bool:
        """Whether nothing more is to happen at this instant."""
        return not self._heap or self._heap[0][0] > self.now

    def run(self, until: float) -> bool:
        """Let events happen until the wall clock shows ``until``; whether any are left."""
        heap, pop, clock = self._heap, heapq.heappop, time.perf_counter
        while heap:
            self.now, _, _, _, action, subject = pop(heap)
            action(subject)
            if self._entered > self.limit:
                raise StoppedRun(
                    f"stopped after {self.limit:,} events, at {self.now:.3g} virtual seconds: a loop without "
                    f"an end? If it is only long, allow more: simulate(…, max_events={10 * self.limit})."
                )
            if clock() >= until:
                break
        return bool(heap)

    def clear(self) -> None:
        """Nothing is to happen any more."""
        self._heap.clear()


def _raise(error: LabError) -> NoReturn:
    raise error


class Network:
    """All links and mailboxes.

    ``settled(rank, ticket)`` is called when a ticket of ``rank`` is done, ``quiet(rank)`` when nothing
    more is on its way to ``rank``.
    """

    def __init__(
        self,
        cluster: Cluster,
        nodes: int,
        events: Events,
        settled: Callable[[int, Ticket], None],
        quiet: Callable[[int], None],
    ) -> None:
        self._link = cluster.link
        self._latency_s = cluster.latency_s
        self._bandwidth = cluster.bandwidth_bytes_per_s
        self._uniform = cluster.host_size is None
        self._events, self._settled, self._quiet = events, settled, quiet
        self._boxes = [Mailbox(rank) for rank in range(nodes)]

    def send(self, src: int, dst: int, key: Key, payload: Tensor, ticket: Ticket) -> None:
        """Post a message at the ticket's time; ``payload`` must not change until it is taken."""
        link = self._boxes[src]
        message = Message(src, self._boxes[dst], key, payload, ticket)
        latency_s, bandwidth = self._latency_s, self._bandwidth
        if not self._uniform:
            latency_s, bandwidth = self._link(src, dst)
        message.wire_s = payload.nbytes / bandwidth
        ticket.started = max(ticket.posted, link.out_free)
        link.out_free = ticket.started + message.wire_s
        message.box.coming += 1
        self._events.at(ticket.started + latency_s, HEAD, src, self._head, message)

    def _head(self, message: Message) -> None:
        link = message.box
        message.began = max(self._events.now, link.in_free)
        message.arrives = link.in_free = message.began + message.wire_s
        message.ticket.moved = message.arrives
        self._events.at(message.arrives, ARRIVAL, message.src, self._arrive, message)

    def _arrive(self, message: Message) -> None:
        box = message.box
        box.coming -= 1
        only = box.posted[0] if len(box.posted) == 1 and not box.waiting.count else None
        sure = only and only.src == message.src and only.key == message.key and not self._ahead(only)
        if only and sure and not box.came and not box.arrived:
            box.posted.clear()  # it can't prefer another that arrives now: no need to wait for those
            self._hand_over(box.rank, only, message)
        else:
            box.came.append(message)
            if self._events.all_in():
                self._match(box)
            else:
                self._match_soon(box)
        if not box.coming:
            self._quiet(box.rank)

    def _ahead(self, receive: Receive) -> bool:
        """Whether a node that is ahead of the event queue posted it."""
        return receive.ticket.posted > self._events.now

    def receive(self, rank: int, key: Key, tensor: Tensor, ticket: Ticket) -> None:
        """Post a receive at the ticket's time."""
        box = self._boxes[rank]
        src = ticket.needs[0] if len(ticket.needs) == 1 else None
        box.received += 1
        box.posted.append(Receive(box.received, src, key, tensor, ticket))
        self._match_soon(box)

    def _match_soon(self, box: Mailbox) -> None:
        """Match when all is in of this instant, or when the next receive is posted."""
        if box.came and box.waiting.count:
            self._events.at(self._events.now, MATCH, box.rank, self._match, box)
        elif box.posted and (box.came or box.arrived):
            at = max(box.posted[0].ticket.posted, self._events.now)
            self._events.at(at, MATCH, box.rank, self._match, box)

    def _match(self, box: Mailbox) -> None:
        """What came goes to those who wait, and who posted takes what is there: both in order."""
        pairs: list[tuple[Receive, Message]] = []
        came, box.came = sorted(box.came, key=lambda message: (message.arrives, message.src)), []
        for message in came:
            receive = box.waiting.take(message.key, message.src)
            if receive is None:
                box.arrived.add(message.key, message.src, message)
            else:
                pairs.append((receive, message))
        pairs.sort(key=lambda pair: pair[0].nth)
        while box.posted and not self._ahead(box.posted[0]):
            receive = box.posted.popleft()
            found = box.arrived.take(receive.key, receive.src)
            if found is None:
                box.waiting.add(receive.key, receive.src, receive)
            else:
                pairs.append((receive, found))
        self._match_soon(box)
        for receive, message in pairs:
            self._hand_over(box.rank, receive, message)

    def _hand_over(self, rank: int, receive: Receive, message: Message) -> None:
        got, given = receive.ticket, message.ticket
        got.peer = message.src
        got.started = max(got.posted, message.began)
        got.moved = got.ended = given.ended = self._events.now
        sent = message.payload
        got.refused = misfit(got.call, rank, receive.tensor, message.src, sent.dtype, sent.numel())
        if got.refused is None:
            receive.tensor.copy_(sent)
        got.done = given.done = True
        self._settled(rank, got)
        self._settled(message.src, given)

    def is_coming(self, rank: int) -> bool:
        """Whether a message to ``rank`` is on its way."""
        return self._boxes[rank].coming > 0

    def close(self, rank: int) -> None:
        """``rank`` has returned: it takes nothing any more, and its tensors may go."""
        box = self._boxes[rank]
        for held in (box.came, box.posted, box.arrived, box.waiting):
            held.clear()

    def clear(self) -> None:
        """Let go of all messages."""
        for box in self._boxes:
            self.close(box.rank)
