"""Transport ``shm``: tensors move through memory that all ranks of the run have mapped.

A small message travels in its record. A larger one is laid in its sender's region with the offer, or, where
there is no room for that, piece by piece as the receiver asks for it.
"""

from __future__ import annotations

import ctypes

from torch import Tensor

from .areas import Outbox, Region
from .board import Board, Slot
from .parcels import Incoming, Outgoing
from .shm_collectives import ShmCollectives
from .wire import INLINE, PIECE, Inbox, Record

_PIECE = 2**20  # a larger message moves in pieces of this size, once it is asked for


class ShmEndpoint(ShmCollectives):
    """A rank whose tensors move through shared memory."""

    lays_ready = True

    def __init__(self, rank: int, nodes: int, inbox: Inbox, slot: Slot, board: Board, memory: Tensor) -> None:
        super().__init__(rank, nodes, inbox, slot, board, memory)
        region = self._region(rank)
        self._ready_room = Outbox(region + Region.READY, Region.READY_SIZE)
        self._piece_room = Outbox(region + Region.PIECES, Region.PIECES_SIZE)
        self._wanted: list[Outgoing] = []  # large messages of which the receiver has asked for more

    def _lay_ready(self, message: Outgoing) -> tuple[int, int, bytes]:
        size, address = message.size, message.data.data_ptr()
        if size <= INLINE:
            message.loaded, message.ready = size, True
            return 0, size, ctypes.string_at(address, size)
        offset = self._ready_room.take(size) if size <= _PIECE else None
        if offset is None:
            return 0, 0, b""
        ctypes.memmove(self._address + offset, address, size)
        message.loaded, message.ready = size, True
        message.blocks.append((offset, size))
        return offset, size, b""

    def _on_room(self, record: Record) -> None:
        message = self._outgoing[record.number]
        if message.loaded:
            self._piece_room.give(*message.blocks.popleft())
        if message not in self._wanted:
            self._wanted.append(message)
        self._lay_pieces()

    def _lay_pieces(self) -> None:
        """Lay the next pieces of the messages that are asked for, while there is room."""
        for message in list(self._wanted):
            while message.loaded < message.size and len(message.blocks) < 2:
                size = min(_PIECE, message.size - message.loaded)
                offset = self._piece_room.take(size)
                if offset is None:
                    return
                address = message.data.data_ptr() + message.loaded
                ctypes.memmove(self._address + offset, address, size)
                message.loaded += size
                message.blocks.append((offset, size))
                record = Record(PIECE, 0, self.rank, number=message.number, offset=offset, size=size)
                self._post(message.dst, record)
            self._wanted.remove(message)

    def _settled(self, message: Outgoing) -> None:
        room = self._ready_room if message.ready else self._piece_room
        for block in message.blocks:
            room.give(*block)
        if self._wanted:
            self._lay_pieces()

    def _fetch(self, message: Incoming, piece: Record) -> int:
        assert message.target is not None
        target = message.target.data_ptr() + message.fetched
        source = self._address + piece.offset if piece.offset else piece.inline
        ctypes.memmove(target, source, piece.size)
        return piece.size
