"""What a virtual network carries and where it ends: messages, posted receives, a node's mailbox."""

from __future__ import annotations

from collections import deque

from torch import Tensor

from ..node.lines import Arrivals, Key, Receives
from ..node.port import Ticket


class Message:
    """A message on its way to ``box``."""

    __slots__ = ("arrives", "began", "box", "key", "payload", "src", "ticket", "wire_s")

    def __init__(self, src: int, box: Mailbox, key: Key, payload: Tensor, ticket: Ticket) -> None:
        self.src, self.box, self.key = src, box, key
        self.payload, self.ticket = payload, ticket
        self.wire_s = self.began = self.arrives = 0.0  # link time; on the incoming link from, to


class Receive:
    """A posted receive, the node's ``nth``; ``src`` None takes any."""

    __slots__ = ("key", "nth", "src", "tensor", "ticket")

    def __init__(self, nth: int, src: int | None, key: Key, tensor: Tensor, ticket: Ticket) -> None:
        self.nth, self.src, self.key, self.tensor, self.ticket = nth, src, key, tensor, ticket


class Mailbox:
    """One node's end of the network: its two links, what has arrived and what it waits for.

    What was posted or came since the last match is looked at by the next one; the rest don't fit each other.
    """

    __slots__ = ("arrived", "came", "coming", "in_free", "out_free", "posted", "rank", "received", "waiting")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.in_free = self.out_free = 0.0  # when each link is free again
        self.coming = 0  # messages sent to this node that have not arrived
        self.received = 0  # receives posted so far
        self.came: list[Message] = []
        self.posted: deque[Receive] = deque()
        self.arrived: Arrivals[Message] = Arrivals()  # not yet taken
        self.waiting: Receives[Receive] = Receives()  # not yet served
