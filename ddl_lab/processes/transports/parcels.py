"""Messages on their way, as their sender and their receiver keep them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from torch import Tensor

from ...node.lines import Key
from ...node.port import Ticket
from ...node.reduction import TRAVELS
from ...node.snapshot import Snapshot
from .wire import Record

DTYPE_CODE = {dtype: code for code, dtype in enumerate(TRAVELS)}

Place = tuple[int, Key, int]  # the other rank, the key, and the number among the messages of these


@dataclass(slots=True, eq=False)
class Outgoing:
    """A message this rank sends. ``data`` is flat; ``loaded`` bytes of it have been handed over.

    A small message is laid ready with its offer; a large one moves piece by piece when it is asked for.
    """

    number: int
    place: Place  # among the messages of its kind
    dst: int
    data: Tensor
    size: int  # bytes
    ticket: Ticket
    snapshot: bool  # the worker may change ``data`` as soon as the call returns
    posted: bool = False  # a collective's: its sender goes on and does not wait for it
    loaded: int = 0
    ready: bool = False  # laid whole with the offer
    blocks: deque[tuple[int, int]] = field(default_factory=deque)  # (offset, count) in flight
    room: object = None  # in which it was laid ready

    def keep(self, data: Tensor | bytes, room: object = None) -> None:
        """``data`` is what travels, whatever the worker does to its tensor; the ticket keeps it too."""
        if isinstance(data, Tensor) and room is None:
            self.data = data
        self.ticket.snapshot = Snapshot(data, room)


@dataclass(slots=True, eq=False)
class Incoming:
    """A message offered to this rank; ``pieces`` are ready to be fetched."""

    offer: Record
    place: Place
    pieces: deque[Record]
    target: Tensor | None = None
    ticket: Ticket | None = None
    fetched: int = 0  # bytes
    arrives: float = 0.0  # paced: when the cluster's link would have delivered it
