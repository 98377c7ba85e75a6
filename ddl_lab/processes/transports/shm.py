"""Transport ``shm``: tensors move through memory that all ranks of the run have mapped.

A small message travels in its record. A larger one is laid in its sender's region with the offer, or, where
there is no room for that, piece by piece as the receiver asks for it.
"""

from __future__ import annotations

import ctypes
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from .areas import Outbox, Region, Room
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
        self._laid: WeakValueDictionary[int, Room] = WeakValueDictionary()  # by address, for several readers

    def _lay_ready(self, message: Outgoing) -> tuple[int, int, bytes]:
        size, address = message.size, message.data.data_ptr()
        if size <= INLINE:
            message.loaded, message.ready = size, True
            inline = ctypes.string_at(address, size)
            if message.snapshot:
                message.keep(inline)
            return 0, size, inline
        if offset := self._ready_room.offset_of(address - self._address):  # a collective's, ``copied``
            message.loaded, message.ready, message.room = size, True, message.data
            return offset, size, b""
        room = self._lay_whole(message, size, address)
        if room is None:
            return 0, 0, b""
        message.loaded, message.ready, message.room = size, True, room
        if message.snapshot:
            message.keep(self._bytes(room.offset, size), room)
        return room.offset, size, b""

    def copied(self, tensor: Tensor) -> Tensor:
        """In the room for what lies ready, where there is some: its readers copy it from there."""
        size = tensor.nbytes
        room = self._ready_room.room(size) if size > INLINE else None
        if room is None:
            return tensor.clone()
        block = (ctypes.c_char * size).from_address(self._address + room.offset)
        block.room = room  # type: ignore[attr-defined]  # in use while a tensor is that looks at the block
        copy = torch.frombuffer(block, dtype=tensor.dtype)
        ctypes.memmove(block, tensor.data_ptr(), size)
        return copy

    def _lay_whole(self, message: Outgoing, size: int, address: int) -> Room | None:
        """Lay all of a message; once for all its readers, where it is a collective's."""
        room = self._laid.get(address) if message.posted else None
        if room is None:
            room = self._ready_room.room(size) if size <= _PIECE or message.posted else None
            if room is None:
                return None
            ctypes.memmove(self._address + room.offset, address, size)
        if message.posted:
            self._laid[address] = room
        return room

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
        for block in message.blocks:
            self._piece_room.give(*block)
        if self._wanted:
            self._lay_pieces()

    def close(self) -> None:
        """Say that the worker has ended, once the others have all that they need of it."""
        self._until(
            lambda: not any(m.posted and not m.ready for m in self._outgoing.values()),
            "its part of a large collective",
            lambda: tuple({m.dst for m in self._outgoing.values() if m.posted and not m.ready}),
        )
        super().close()

    def _fetch(self, message: Incoming, piece: Record) -> int:
        assert message.target is not None
        target = message.target.data_ptr() + message.fetched
        source = self._address + piece.offset if piece.offset else piece.inline
        ctypes.memmove(target, source, piece.size)
        return piece.size
