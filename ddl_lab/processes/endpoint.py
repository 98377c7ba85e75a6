"""What every transport shares: matching messages, pacing, and the frame of a collective.

A transport adds how tensors move: it subclasses ``Endpoint`` and fills ``_lay_ready``, ``_on_room``,
``_fetch``, ``_settled`` and ``_move``.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..cluster import Cluster
from ..collectives import Work
from ..port import Collective, Group, Ticket, misfit
from .board import Board, Slot
from .meeting import Meeter
from .pacing import Pacer, nap
from .wire import OFFER, PIECE, ROOM, TAKEN, Inbox, Record

DTYPES = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128,
)  # fmt: skip
_DTYPE_CODE = {dtype: code for code, dtype in enumerate(DTYPES)}

_HANDS_S = 0.05  # how soon a change of the slow factor acts on a span
Key = tuple[int, int]  # a group's key and a tag


@dataclass(slots=True, eq=False)
class Outgoing:
    """A message this rank sends. ``data`` is flat; ``loaded`` bytes of it have been handed over.

    A small message is laid ready with its offer; a large one moves piece by piece when it is asked for.
    """

    number: int
    dst: int
    data: Tensor
    size: int  # bytes
    ticket: Ticket
    snapshot: bool  # the worker may change ``data`` as soon as the call returns
    loaded: int = 0
    ready: bool = False  # laid whole with the offer
    blocks: deque[tuple[int, int]] = field(default_factory=deque)  # (offset, count) in flight


@dataclass(slots=True, eq=False)
class Incoming:
    """A message offered to this rank; ``pieces`` are ready to be fetched."""

    offer: Record
    pieces: deque[Record]
    target: Tensor | None = None
    ticket: Ticket | None = None
    fetched: int = 0  # bytes
    arrives: float = 0.0  # paced: when the cluster's link would have delivered it


class Endpoint(Meeter):
    """One rank's ``Port`` in real processes, but for how bytes move."""

    algorithm = "ring"  # by whose formula collectives are counted

    def __init__(self, rank: int, nodes: int, inbox: Inbox, slot: Slot, board: Board) -> None:
        super().__init__(rank, inbox, slot, board)
        self.nodes = nodes
        self.device = torch.device("cpu")
        self.slow = 1.0  # how many times as long this rank takes to compute: the learner's hand
        self.pacer: Pacer | None = None
        self._due: list[tuple[float, int, int, Incoming]] = []  # paced messages that are still on their way
        self._sent = 0
        self._outgoing: dict[int, Outgoing] = {}
        self._incoming: dict[tuple[int, int], Incoming] = {}  # by sender and number
        self._offered: dict[Key, list[Incoming]] = defaultdict(list)  # not yet matched, by arrival
        self._posted: dict[Key, list[tuple[Ticket, Tensor]]] = defaultdict(list)
        self._handlers |= {
            OFFER: self._on_offer,
            PIECE: self._on_piece,
            ROOM: self._on_room,
            TAKEN: self._on_taken,
        }

    # Port

    def pace(self, cluster: Cluster) -> None:
        """From now on take the time that ``cluster`` would."""
        self.pacer = Pacer(cluster, self.rank)
        self.algorithm = cluster.algorithm

    def computed(self, started: float, unit: str, amount: float) -> float:
        took = self.now() - started
        planned = took
        if self.pacer:
            started, planned = self.pacer.due(started), self.pacer.compute_s(unit, amount)
        while (left := started + planned * self.slow - self.now()) > 0 and planned * self.slow > took:
            nap(min(left, _HANDS_S))  # a hand may change the factor meanwhile
        if self.pacer:
            self.pacer.reached(started + planned * self.slow)
        return self.now()

    def send(self, group: Group, tensor: Tensor, dst: int, tag: int, ticket: Ticket, snapshot: bool) -> None:
        if tensor.dtype not in _DTYPE_CODE:
            raise ValueError(f"send takes numbers and booleans; {tensor.dtype} does not travel.")
        self._sent += 1
        message = Outgoing(self._sent, dst, tensor, nbytes(tensor), ticket, snapshot)
        self._outgoing[self._sent] = message
        head = self.pacer.departure(self._due_now(), message.size) if self.pacer else 0.0
        offset, size, inline = self._lay_ready(message)
        code, total = _DTYPE_CODE[tensor.dtype], tensor.numel()
        offer = Record(
            OFFER, code, self.rank, group.key, self._sent, 0, tag, offset, size, head, 0.0, total, inline
        )  # fmt: skip
        self._post(dst, offer)
        if snapshot and message.loaded < message.size:
            message.data = tensor.clone()

    def recv(self, group: Group, tensor: Tensor, tag: int, ticket: Ticket) -> None:
        key = (group.key, tag)
        self._posted[key].append((ticket, tensor))
        self._match(key)

    def wait(self, ticket: Ticket) -> None:
        any_of = len(ticket.needs) > 1
        self._until(lambda: ticket.done, ticket.call, lambda: ticket.needs, any_of)
        if self.pacer:
            self.pacer.reached(ticket.ended)

    def poll(self, ticket: Ticket) -> bool:
        self._handle_all()
        return ticket.done

    def collective(self, group: Group, work: Collective) -> tuple[float, float]:
        if len(group.ranks) == 1:
            _alone(work)
            return (now := self.now()), now
        last = self._move(group, work)
        if self.pacer:
            size = work.own.element_size()
            cost = Work(work.name, tuple(c * size for c in work.chunks), work.src)
            end = self.pacer.collective_end(last, cost)
            while (left := end - self.now()) > 0:
                nap(left)
            self.pacer.reached(end)
        return last, self.now()

    def close(self) -> None:
        """Say that the worker has ended."""
        self._slot.returned()

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

    def _move(self, group: Group, work: Collective) -> float:
        """Do a collective; returns when its last rank entered."""
        raise NotImplementedError

    # messages

    def _match(self, key: Key) -> None:
        """Give offered messages to posted receives, both in order."""
        posted, offered = self._posted[key], self._offered[key]
        for entry in list(posted) if offered and posted else ():
            ticket, tensor = entry
            message = next((m for m in offered if m.offer.sender in ticket.needs), None)
            if message is not None:
                posted.remove(entry)
                offered.remove(message)
                self._accept(message, ticket, tensor)

    def _accept(self, message: Incoming, ticket: Ticket, tensor: Tensor) -> None:
        offer = message.offer
        dtype = DTYPES[offer.dtype]
        if wrong := misfit(ticket.call, self.rank, tensor, offer.sender, dtype, offer.total):
            raise wrong
        ticket.peer = offer.sender
        ticket.started = self.pacer.link_began(message.arrives, nbytes(tensor)) if self.pacer else self.now()
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
        size = nbytes(target)
        while message.pieces:
            message.fetched += self._fetch(message, message.pieces.popleft())
            if message.fetched < size:
                self._ask(offer)
        if message.fetched >= size:
            ticket.moved = ticket.ended = max(message.arrives, self._due_now())
            ticket.done = True
            del self._incoming[offer.sender, offer.number]
            began, ended = ticket.started, ticket.ended
            taken = Record(TAKEN, 0, self.rank, number=offer.number, time_a=began, time_b=ended)
            self._post(offer.sender, taken)

    def _on_offer(self, record: Record) -> None:
        message = Incoming(record, deque([record] if record.size else []))
        self._incoming[record.sender, record.number] = message
        if self.pacer:
            size = record.total * DTYPES[record.dtype].itemsize
            message.arrives = self.pacer.arrival(record.time_a, size)
            heapq.heappush(self._due, (message.arrives, record.sender, record.number, message))
        else:
            self._arrived(message)

    def _due_now(self) -> float:
        """Now; paced: when this rank was due to be here, if it is only a little late."""
        return self.pacer.due(self.now()) if self.pacer else self.now()

    def _next_due(self) -> float | None:
        return self._due[0][0] if self._due else None

    def _pass_due(self) -> None:
        while self._due and self._due[0][0] <= self.now():
            self._arrived(heapq.heappop(self._due)[-1])

    def _arrived(self, message: Incoming) -> None:
        key = (message.offer.group, message.offer.tag)
        self._offered[key].append(message)
        self._match(key)

    def _on_piece(self, record: Record) -> None:
        message = self._incoming[record.sender, record.number]
        message.pieces.append(record)  # it was asked for, so the message has its target
        self._fetch_ready(message)

    def _on_taken(self, record: Record) -> None:
        message = self._outgoing.pop(record.number)
        self._settled(message)
        ticket = message.ticket
        ticket.started, ticket.moved = record.time_a, record.time_b
        ticket.ended, ticket.done = record.time_b if self.pacer else max(self.now(), record.time_b), True


def _alone(work: Collective) -> None:
    """A collective of one node: there is nothing to reduce or to send."""
    if work.name == "reduce_scatter":
        work.own.copy_(work.full)
    elif work.name == "all_gather":
        work.full.copy_(work.own)


def nbytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
