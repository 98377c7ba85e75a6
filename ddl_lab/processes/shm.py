"""Transport ``shm``: tensors move through memory that all ranks of the run have mapped.

Each rank owns a region: a table of its groups' areas, an outbox for messages, and an area a group. An
area has two slots, used in turn, in which the rank lays its input.

All-reduce, block by block: the block lies in the slot, or from the start in shared memory (the arena, where
``lab.gradient`` makes its tensors); meet; reduce your own chunk in rank order, and put it in everybody's
block; meet. Other collectives write a slot again two blocks later, when a meeting has shown that all have
read it.
"""

from __future__ import annotations

import ctypes
import struct

from torch import Tensor

from ..cluster.collectives import even_chunks
from ..port import Collective, Group, reduce_in_rank_order
from .areas import SMALL, Area, Arena, Outbox, blocks
from .board import Board, Slot
from .endpoint import Endpoint
from .mailbox import Incoming, Outgoing
from .wire import INLINE, PIECE, Inbox, Record

SLOT = 2**20  # bytes of a collective's block: small enough to stay in a core's cache
_OUTBOX = 6 * 2**20
_PIECE = 2**20  # a larger message moves in pieces of this size, once it is asked for
_READY = 4 * 2**20  # room for messages laid ready before they are asked for
_ARENA = 2**24
_TABLE = 2048
_AREA = 2 * SLOT
_ENTRY = struct.Struct("<QQQQ")  # a group's key, its area, and for both slots: where the input lies instead
_PLACES = 16, 24  # bytes from an entry's start
MAX_GROUPS = 64
REGION = _TABLE + _OUTBOX + _ARENA + MAX_GROUPS * _AREA  # mostly never touched, and takes no memory then


class ShmEndpoint(Endpoint):
    """A rank whose tensors move through shared memory."""

    lays_ready = True

    def __init__(self, rank: int, nodes: int, inbox: Inbox, slot: Slot, board: Board, memory: Tensor) -> None:
        super().__init__(rank, nodes, inbox, slot, board)
        self._memory, self._address = memory, memory.data_ptr()
        self._base = Board.size(nodes)
        outbox = self._region(rank) + _TABLE
        self._ready_room = Outbox(outbox, _READY)
        self._piece_room = Outbox(outbox + _READY, _OUTBOX - _READY)
        self._wanted: list[Outgoing] = []  # large messages of which the receiver has asked for more
        self._areas: dict[int, Area] = {}
        self.arena = Arena(self._address, outbox + _OUTBOX, _ARENA)

    @staticmethod
    def size(nodes: int) -> int:
        """Bytes of shared memory for ``nodes`` ranks, the board included."""
        return Board.size(nodes) + nodes * REGION

    def _region(self, rank: int) -> int:
        return self._base + rank * REGION

    # messages

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

    def _bytes(self, offset: int, count: int) -> Tensor:
        return self._memory[offset : offset + count]

    # collectives

    def _move(self, group: Group, work: Collective) -> float:
        last: float = getattr(self, f"_{work.name}")(group, work)
        return last

    def _open(self, group: Group, call: str) -> tuple[Area, float]:
        """This group's areas; at its first collective every member makes its own and they meet."""
        area = self._areas.get(group.key)
        if area is not None:
            return area, -1.0
        self._claim(group.key)
        last = self.meet(group, call)
        slots: list[list[Tensor]] = [[], []]
        places: list[list[ctypes.c_uint64]] = [[], []]
        for rank in group.ranks:
            entry, at = self._find(rank, group.key)
            slots[0].append(self._bytes(at, SLOT))
            slots[1].append(self._bytes(at + SLOT, SLOT))
            for turn, at in enumerate(_PLACES):
                places[turn].append(ctypes.c_uint64.from_address(self._address + entry + at))
        self._areas[group.key] = area = Area(slots, places)
        return area, last

    def _claim(self, key: int) -> None:
        index = len(self._areas)
        if index == MAX_GROUPS:
            raise ValueError(f"a rank can be in {MAX_GROUPS} groups with collectives; this is one more.")
        at = self._region(self.rank) + index * _ENTRY.size
        offset = self._region(self.rank) + _TABLE + _OUTBOX + _ARENA + index * _AREA
        ctypes.memmove(self._address + at, _ENTRY.pack(key + 1, offset, 0, 0), _ENTRY.size)

    def _find(self, rank: int, key: int) -> tuple[int, int]:
        """Where ``rank``'s entry for a group stands, and its area."""
        start = self._region(rank)
        table = ctypes.string_at(self._address + start, MAX_GROUPS * _ENTRY.size)
        for i, (known, offset, *_) in enumerate(_ENTRY.iter_unpack(table)):
            if known == key + 1:
                return start + i * _ENTRY.size, offset
        raise LookupError(f"rank {rank} has no area for the group {key}")

    def _begin(self, group: Group, work: Collective, last: float) -> float:
        """The meeting of a block; of several in one collective the first tells when the last rank came."""
        met = self.meet(group, work.call)
        return met if last < 0 else last

    def _barrier(self, group: Group, work: Collective) -> float:
        return self.meet(group, work.call)

    def _all_reduce(self, group: Group, work: Collective) -> float:
        area, last = self._open(group, work.call)
        for block in blocks(work.own, SLOT // work.own.element_size()):
            last = self._all_reduce_block(group, work, area, block, last)
        return last

    def _all_reduce_block(
        self, group: Group, work: Collective, area: Area, block: Tensor, last: float
    ) -> float:
        slots = area.next_slots(block, block.numel())
        small = block.numel() * block.element_size() <= SMALL
        place = 0 if small else self.arena.place(block)
        if not place:
            slots[group.me].copy_(block)
        area.places[group.me].value = place
        last = self._begin(group, work, last)
        places = [p.value for p in area.places]
        if small or (len(slots) == 2 and not any(places)):
            self._reduce_whole(group, work, slots, block)
        else:
            size = block.numel() * block.element_size()
            at = [
                self._bytes(p, size).view(block.dtype) if p else s for p, s in zip(places, slots, strict=True)
            ]
            self._reduce_chunk(group, work, at)
            self.meet(group, work.call)
            if not place:
                block.copy_(slots[group.me])
        return last

    def _reduce_whole(self, group: Group, work: Collective, slots: list[Tensor], block: Tensor) -> None:
        """Reduce all of the block: every rank does so, and needs no second meeting."""
        if group.me < 2:  # it may read itself where it writes: the first two parts are read at once
            slots[group.me] = block
        reduce_in_rank_order(block, slots, work.op)

    def _reduce_chunk(self, group: Group, work: Collective, at: list[Tensor]) -> None:
        """Reduce this rank's chunk of the blocks that lie ``at``, into all of them."""
        sizes = even_chunks(at[0].numel(), len(at))
        start = sum(sizes[: group.me])
        parts = [block[start : start + sizes[group.me]] for block in at]
        out = parts[group.me if group.me < 2 else 0]  # not one of those that are read after the first sum
        reduce_in_rank_order(out, parts, work.op)
        for part in parts:
            if part is not out:
                part.copy_(out)

    def _broadcast(self, group: Group, work: Collective) -> float:
        area, last = self._open(group, work.call)
        for block in blocks(work.own, SLOT // work.own.element_size()):
            source = area.next_slots(block, block.numel())[work.src]
            if group.me == work.src:
                source.copy_(block)
            last = self._begin(group, work, last)
            if group.me != work.src:
                block.copy_(source)
        return last

    def _reduce_scatter(self, group: Group, work: Collective) -> float:
        area, last = self._open(group, work.call)
        step = max(1, SLOT // work.own.element_size() // len(work.chunks))
        chunks = work.full.split(list(work.chunks))
        for low in range(0, max(1, *work.chunks), step):
            slots = area.next_slots(work.own, step * len(chunks))
            mine = slots[group.me]
            for i, chunk in enumerate(chunks):
                piece = chunk[low : low + step]
                mine[i * step : i * step + piece.numel()].copy_(piece)
            last = self._begin(group, work, last)
            out = work.own[low : low + step]
            at = group.me * step
            parts = [slot[at : at + out.numel()] for slot in slots]
            reduce_in_rank_order(out, parts, work.op)
        return last

    def _all_gather(self, group: Group, work: Collective) -> float:
        area, last = self._open(group, work.call)
        step = SLOT // work.own.element_size()
        targets = work.full.split(list(work.chunks))
        for low in range(0, max(1, *work.chunks), step):
            slots = area.next_slots(work.own, step)
            mine = work.own[low : low + step]
            slots[group.me][: mine.numel()].copy_(mine)
            last = self._begin(group, work, last)
            for slot, target in zip(slots, targets, strict=True):
                piece = target[low : low + step]
                piece.copy_(slot[: piece.numel()])
        return last
