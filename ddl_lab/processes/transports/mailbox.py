"""A rank's messages: offers and receives are matched, in order, and tensors handed over.

A message is offered, fetched, and said to be taken. A receiver that finds nothing says so, before it sleeps:
it *wants* the next message of that sender. So the send of a message that is wanted and lies ready whole
is over at once: the sender need not wait until the receiver has a core again.

A transport adds how bytes move: it fills ``_lay_ready``, ``_on_room``, ``_fetch`` and ``_settled``.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque

from torch import Tensor

from ...node.lines import Arrivals, Key, Receives
from ...node.port import Group, Ticket, misfit
from ...node.reduction import TRAVELS
from .board import Board, Slot
from .meeting import Meeter
from .pacing import Pacer
from .parcels import DTYPE_CODE, Incoming, Outgoing, Place
from .wire import INLINE, OFFER, PIECE, ROOM, TAKEN, WANT, Inbox, Record


class Mailbox(Meeter):
    """The part of a rank's ``Port`` that sends and receives."""

    lays_ready = False  # whether offered messages can lie where the receiver fetches them by itself

    def __init__(self, rank: int, inbox: Inbox, slot: Slot, board: Board) -> None:
        super().__init__(rank, inbox, slot, board)
        self.pacer: Pacer | None = None
        self._due: list[tuple[float, int, int, Incoming]] = []  # paced messages that are still on their way
        self._sent = 0
        self._outgoing: dict[int, Outgoing] = {}
        self._placed: dict[Place, Outgoing] = {}  # the same, as their receivers know them
        self._incoming: dict[tuple[int, int], Incoming] = {}  # by sender and number
        self._offered: Arrivals[Incoming] = Arrivals()
        self._posted: Receives[tuple[Ticket, Tensor]] = Receives()
        self._sent_to: dict[tuple[int, Key], int] = defaultdict(int)  # messages so far
        self._offered_by: dict[tuple[int, Key], int] = defaultdict(int)
        self._awaited: dict[int, tuple[Place, int]] = {}  # by rank: what it waits for, and its size
        self._newest: tuple[Ticket, Key, Tensor] | None = None  # the receive posted last
        self._asked: Place | None = None  # what we said that we want
        self._handlers |= {
            WANT: self._on_want,
            OFFER: self._on_offer,
            PIECE: self._on_piece,
            ROOM: self._on_room,
            TAKEN: self._on_taken,
        }

    def send(self, group: Group, tensor: Tensor, dst: int, tag: int, ticket: Ticket, snapshot: bool) -> None:
        self.enters()
        self._sent += 1
        key = (group.key, tag)
        self._sent_to[dst, key] += 1
        place = (dst, key, self._sent_to[dst, key])
        message = Outgoing(self._sent, place, dst, tensor, tensor.nbytes, ticket, snapshot, tag < 0)
        self._outgoing[self._sent] = self._placed[place] = message
        head = self.pacer.departure(self._due_now(), dst, message.size) if self.pacer and tag >= 0 else 0.0
        offset, size, inline = self._lay_ready(message)
        code, total = DTYPE_CODE[tensor.dtype], tensor.numel()
        now, number = self.now(), self._sent
        offer = Record(
            OFFER, code, self.rank, group.key, number, 0, tag, offset, size, head, now, total, inline
        )  # fmt: skip
        self._post(dst, offer)
        if snapshot and message.loaded < message.size:
            message.keep(tensor.clone())
        if dst in self._awaited:
            self._over_if_wanted(message)
        if self.pacer:
            self.pacer.reached(self._due_now())  # the bytes that were copied took real time

    def recv(self, group: Group, tensor: Tensor, tag: int, ticket: Ticket) -> None:
        self.enters()
        key = (group.key, tag)
        src = ticket.needs[0] if len(ticket.needs) == 1 else None
        self._newest = (ticket, key, tensor)
        message = self._offered.take(key, src)
        if message is None:
            self._posted.add(key, src, (ticket, tensor))
        else:
            self._accept(message, ticket, tensor)

    def wait(self, ticket: Ticket) -> None:
        self.enters()
        if not ticket.done:
            self._want(ticket)
        self._until(lambda: ticket.done, ticket.call, lambda: ticket.needs, len(ticket.needs) > 1)
        if self.pacer:
            self.pacer.reached(ticket.ended)

    def poll(self, ticket: Ticket) -> bool:
        self.enters()
        self._handle_all()
        return ticket.done

    # what a transport fills in

    def _lay_ready(self, message: Outgoing) -> tuple[int, int, bytes]:
        """Hand a message's bytes over if there is room now: offset and size, or the bytes themselves."""
        raise NotImplementedError

    def _on_room(self, record: Record) -> None:
        """The receiver asks for the first piece of a large message, or for the next one."""
        raise NotImplementedError

    def _fetch(self, message: Incoming, piece: Record) -> int:
        """Copy a piece into the message's target; returns the bytes copied."""
        raise NotImplementedError

    def _settled(self, message: Outgoing) -> None:
        """The receiver has all of a message."""

    # wanting

    def _want(self, ticket: Ticket) -> None:
        """Tell the sender that we wait for its next message, where it is sure to be that one."""
        if not self.lays_ready or self._newest is None or self.pacer:  # a paced link takes its time
            return
        (newest, key, tensor), src = self._newest, ticket.needs[0]
        if newest is not ticket or len(ticket.needs) > 1 or not self._posted.sole(key, src):
            return
        number = self._offered_by[src, key] + 1
        self._asked = (src, key, number)
        self._post(src, Record(WANT, 0, self.rank, key[0], number, tag=key[1], size=tensor.nbytes))

    def _on_want(self, record: Record) -> None:
        key = (record.group, record.tag)
        place = (record.sender, key, record.number)
        self._awaited[record.sender] = (place, record.size)
        message = self._placed.get(place)
        if message is not None:  # it is on its way already
            self._over_if_wanted(message)

    def _over_if_wanted(self, message: Outgoing) -> None:
        """End the send of a message that lies ready whole, and for which the receiver waits."""
        if message.ready and (message.place, message.size) == self._awaited.get(message.dst):
            del self._awaited[message.dst]
            message.ticket.moved = message.ticket.ended = self.now()
            message.ticket.done = True
            if message.size <= INLINE:  # and the receiver will not say that it has taken it
                self._gone(message.number)

    def _gone(self, number: int) -> Outgoing:
        """This rank's message ``number`` needs no care any more."""
        message = self._outgoing.pop(number)
        del self._placed[message.place]
        return message

    # matching: the receive that was posted first takes the message that came first, of those that fit

    def _accept(self, message: Incoming, ticket: Ticket, tensor: Tensor) -> None:
        offer = message.offer
        dtype = TRAVELS[offer.dtype]
        if wrong := misfit(ticket.call, self.rank, tensor, offer.sender, dtype, offer.total):
            raise wrong
        ticket.peer = offer.sender
        ticket.started = self.now()
        if self.pacer and offer.tag >= 0:
            ticket.started = self.pacer.link_began(message.arrives, offer.sender, tensor.nbytes)
        message.target, message.ticket = tensor, ticket
        if offer.total and not message.pieces:
            self._ask(offer)
        self._fetch_ready(message)

    def _ask(self, offer: Record) -> None:
        self._post(offer.sender, Record(ROOM, 0, self.rank, number=offer.number))

    def _fetch_ready(self, message: Incoming) -> None:
        """Copy what pieces are there; after the last tell the sender that it is taken."""
        target, ticket, offer = message.target, message.ticket, message.offer
        assert target is not None and ticket is not None
        size = target.nbytes
        while message.pieces:
            message.fetched += self._fetch(message, message.pieces.popleft())
            if message.fetched < size:
                self._ask(offer)
        if message.fetched >= size:
            ticket.moved = ticket.ended = self._taken(message)
            ticket.done = True
            del self._incoming[offer.sender, offer.number]
            if message.place == self._asked and size <= INLINE:
                return  # the sender knows
            began, ended = ticket.started, ticket.ended
            taken = Record(TAKEN, 0, self.rank, number=offer.number, time_a=began, time_b=ended)
            self._post(offer.sender, taken)

    def _on_offer(self, record: Record) -> None:
        key = (record.group, record.tag)
        self._offered_by[record.sender, key] += 1
        place = (record.sender, key, self._offered_by[record.sender, key])
        message = Incoming(record, place, deque([record] if record.size else []))
        self._incoming[record.sender, record.number] = message
        if self.pacer and record.tag >= 0:
            size = record.total * TRAVELS[record.dtype].itemsize
            message.arrives = self.pacer.arrival(record.time_a, record.sender, size)
            heapq.heappush(self._due, (message.arrives, record.sender, record.number, message))
        else:
            self._arrived(message)

    def enters(self) -> None:
        """A call of the node begins."""
        if self.pacer:
            self.pacer.enters(self.now())

    def _taken(self, message: Incoming) -> float:
        """When a message whose bytes are here now was taken; paced: was due to be."""
        now, offer = self.now(), message.offer
        if not self.pacer:
            return now
        return self.pacer.taken(message.arrives, offer.time_a, offer.time_b, offer.sender, now)

    def _due_now(self) -> float:
        """Now; paced: when this rank was due to be here, in a call of the node."""
        return self.pacer.worked(self.now()) if self.pacer else self.now()

    def _next_due(self) -> float | None:
        return self._due[0][0] if self._due else None

    def _pass_due(self) -> None:
        while self._due and self._due[0][0] <= self.now():
            self._arrived(heapq.heappop(self._due)[-1])

    def _arrived(self, message: Incoming) -> None:
        key = (message.offer.group, message.offer.tag)
        posted = self._posted.take(key, message.offer.sender)
        if posted is None:
            self._offered.add(key, message.offer.sender, message)
        else:
            self._accept(message, *posted)

    def _on_piece(self, record: Record) -> None:
        message = self._incoming[record.sender, record.number]
        message.pieces.append(record)  # it was asked for, so the message has its target
        self._fetch_ready(message)

    def _on_taken(self, record: Record) -> None:
        message = self._gone(record.number)
        self._settled(message)
        ticket = message.ticket
        if ticket.done:  # it was wanted
            return
        ticket.started, ticket.moved = record.time_a, record.time_b
        ticket.ended, ticket.done = record.time_b if self.pacer else max(self.now(), record.time_b), True
