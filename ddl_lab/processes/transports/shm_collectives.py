"""Collectives of transport ``shm``, block by block.

A group has an area in each member's region, with two slots, used in turn, in which the rank lays its input.

All-reduce: the block lies in the slot, or from the start in shared memory (the arena, where ``lab.gradient``
makes its tensors); meet; reduce your own chunk in rank order, and put it in everybody's block; meet. Other
collectives write a slot again two blocks later, when a meeting has shown that all have read it.
"""

from __future__ import annotations

import ctypes
import struct

from torch import Tensor

from ...cluster.collectives import even_chunks
from ...node.port import Collective, Group, Ticket
from ...node.reduction import reduce_in_rank_order
from .areas import SLOT, SMALL, Area, Arena, Region, blocks
from .board import Board, Slot
from .endpoint import Endpoint
from .posted import Posted
from .wire import Inbox

_ENTRY = struct.Struct("<QQQQ")  # a group's key, its area, and for both slots: where the input lies instead
_PLACES = 16, 24  # bytes from an entry's start


class ShmCollectives(Endpoint):
    """A rank's shared memory, and its collectives in it."""

    def __init__(self, rank: int, nodes: int, inbox: Inbox, slot: Slot, board: Board, memory: Tensor) -> None:
        super().__init__(rank, nodes, inbox, slot, board)
        self._memory, self._address = memory, memory.data_ptr()
        self._base = Board.size(nodes)
        self._areas: dict[int, Area] = {}
        self.arena = Arena(self._address, self._region(rank) + Region.ARENA, Region.ARENA_SIZE)

    @staticmethod
    def size(nodes: int) -> int:
        """Bytes of shared memory for ``nodes`` ranks, the board included."""
        return Board.size(nodes) + nodes * Region.SIZE

    def _region(self, rank: int) -> int:
        return self._base + rank * Region.SIZE

    def _bytes(self, offset: int, count: int) -> Tensor:
        return self._memory[offset : offset + count]

    def _move(self, group: Group, work: Collective) -> float:
        last: float = getattr(self, f"_{work.name}")(group, work)
        return last

    def _set_out(self, posted: Posted) -> None:
        for peer, rank in enumerate(posted.group.ranks):
            if peer != posted.group.me and (part := posted.gives(peer)).numel():
                ticket = Ticket(posted.work.call, (rank,), self.now())
                self.send(posted.group, part, rank, -posted.place[1], ticket, snapshot=False)
                if not posted.beside:  # the worker's own tensor, which is free when all have theirs
                    posted.going.append(ticket)

    def _collect(self, posted: Posted) -> None:
        self._receive(posted)
        both = posted.coming + posted.going
        self._until(
            lambda: all(ticket.done for ticket in both),
            posted.work.call,
            lambda: tuple({ticket.peer for ticket in both if not ticket.done}),
        )

    def _is_here(self, posted: Posted) -> bool:
        self._receive(posted)
        return all(ticket.done for ticket in posted.coming)

    def _receive(self, posted: Posted) -> None:
        """Post a receive for each part, once: all ranks have given their word."""
        for peer, rank in enumerate(posted.group.ranks):
            if peer != posted.group.me and peer not in posted.parts:
                posted.parts[peer] = part = posted.work.given.new_empty(posted.takes(peer))
                if part.numel():
                    posted.coming.append(Ticket(posted.work.call, (rank,), self.now()))
                    self.recv(posted.group, part, -posted.place[1], posted.coming[-1])

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
        at = self._region(self.rank) + index * _ENTRY.size
        offset = self._region(self.rank) + Region.AREAS + index * Region.AREA_SIZE
        ctypes.memmove(self._address + at, _ENTRY.pack(key + 1, offset, 0, 0), _ENTRY.size)

    def _find(self, rank: int, key: int) -> tuple[int, int]:
        """Where ``rank``'s entry for a group stands, and its area."""
        start = self._region(rank)
        table = ctypes.string_at(self._address + start, Region.GROUPS * _ENTRY.size)
        known, offsets, *_ = zip(*_ENTRY.iter_unpack(table), strict=True)
        index = known.index(key + 1)
        return start + index * _ENTRY.size, offsets[index]

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
        small = block.nbytes <= SMALL
        place = 0 if small else self.arena.place(block)
        if not place:
            slots[group.me].copy_(block)
        area.places[group.me].value = place
        last = self._begin(group, work, last)
        places = [p.value for p in area.places]
        if small or (len(slots) == 2 and not any(places)):
            self._reduce_whole(group, work, slots, block)
        else:
            pairs = zip(places, slots, strict=True)
            at = [self._bytes(p, block.nbytes).view(block.dtype) if p else slot for p, slot in pairs]
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
