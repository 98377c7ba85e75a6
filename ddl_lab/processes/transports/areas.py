"""Room in shared memory: for messages that wait, for the blocks of collectives, for a rank's own tensors."""

from __future__ import annotations

import ctypes
import weakref
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...node.port import MOST_GROUPS

SLOT = 2**20  # bytes of a collective's block: small enough to stay in a core's cache
SMALL = 2**14  # bytes: below, a copy more costs less than a meeting more
_MOST_BYTES = 2**22  # of one tensor in an arena
_MOST_VIEWS = 64


class Region:
    """How each rank's shared memory is laid out, in bytes. What is never touched takes none."""

    READY = 2**11  # room for messages laid ready before they are asked for; before it, the table of groups
    READY_SIZE = 2**25
    PIECES = READY + READY_SIZE  # and for pieces of large ones
    PIECES_SIZE = 2**21
    ARENA = PIECES + PIECES_SIZE  # and for whole tensors
    ARENA_SIZE = 2**24
    AREAS = ARENA + ARENA_SIZE  # one a group, of two slots each
    AREA_SIZE = 2 * SLOT
    GROUPS = MOST_GROUPS
    SIZE = AREAS + GROUPS * AREA_SIZE


def _aligned(size: int) -> int:
    """``size`` bytes in whole lines of 64, one at least."""
    return max(64, -(-size // 64) * 64)


class Room:
    """Bytes of an outbox that are in use. It may be let go of at any moment: the collector does not ask."""

    __slots__ = ("__weakref__", "_left", "offset", "size")

    def __init__(self, offset: int, size: int, left: deque[tuple[int, int]]) -> None:
        self.offset, self.size, self._left = offset, size, left

    def __del__(self) -> None:
        self._left.append((self.offset, self.size))


class Outbox:
    """Room for messages in this rank's region: first fit, freed in any order."""

    def __init__(self, start: int, size: int) -> None:
        self._start, self._end = start, start + size
        self._free = [(start, start + size)]
        self._left: deque[tuple[int, int]] = deque()  # by rooms that were let go of

    def room(self, size: int) -> Room | None:
        """As ``take``, but given back by itself once nobody holds it."""
        offset = self.take(size)
        return None if offset is None else Room(offset, size, self._left)

    def take(self, size: int) -> int | None:
        """The offset of ``size`` bytes, aligned to 64, or None where there is no such room now."""
        while self._left:
            self.give(*self._left.popleft())
        need = _aligned(size)
        for i, (start, end) in enumerate(self._free):
            if end - start >= need:
                self._free[i] = (start + need, end)
                return start
        return None

    def offset_of(self, offset: int) -> int:
        """``offset`` where it lies in this outbox, else 0."""
        return offset if self._start <= offset < self._end else 0

    def give(self, offset: int, size: int) -> None:
        """Give room back."""
        end = offset + _aligned(size)
        merged: list[tuple[int, int]] = []
        for start, stop in sorted([*self._free, (offset, end)]):
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], stop)
            elif stop > start:
                merged.append((start, stop))
        self._free = merged


class Area:
    """One group's shared areas as seen from this rank, by the member's rank in the group."""

    def __init__(self, slots: list[list[Tensor]], places: list[list[ctypes.c_uint64]]) -> None:
        self._slots, self._places = slots, places
        self._turn = 0
        self._views: dict[tuple[int, torch.dtype, int], list[Tensor]] = {}

    def next_slots(self, like: Tensor, count: int) -> list[Tensor]:
        """The slots for the next block, of all members: ``count`` elements of ``like``'s type each."""
        self._turn ^= 1
        key = (self._turn, like.dtype, count)
        views = self._views.get(key)
        if views is None:  # training asks for the same ones in every step
            if len(self._views) > _MOST_VIEWS:
                self._views.clear()
            size = count * like.element_size()
            views = self._views[key] = [slot[:size].view(like.dtype) for slot in self._slots[self._turn]]
        return list(views)

    @property
    def places(self) -> list[ctypes.c_uint64]:
        """Where each member's input for this block lies if not in its slot, else 0."""
        return self._places[self._turn]


class _Lease(weakref.ref[Any]):
    """That a piece of the arena is in use."""

    __slots__ = ("offset", "size")
    offset: int
    size: int


class Arena:
    """Tensors of this rank's worker in memory that all ranks reach.

    A piece is used again for a tensor of its size once the last one has died that looks at it, view or not.
    """

    def __init__(self, address: int, start: int, size: int) -> None:
        self._address, self._start, self._end = address, start, start + size
        self._unused = start  # from here on nothing was ever made
        self._free: dict[int, list[int]] = defaultdict(list)  # by size
        self._leases: dict[int, _Lease] = {}

    def empty(self, count: int) -> Tensor | None:
        """A new float32 (count,) tensor, or None where a shared one is not worth it or has no room."""
        size = 4 * count
        offset = self._piece(size) if SMALL < size <= _MOST_BYTES else None
        if offset is None:
            return None
        block = (ctypes.c_char * size).from_address(self._address + offset)
        self._leases[offset] = lease = _Lease(block, self._give)
        lease.offset, lease.size = offset, size
        return torch.frombuffer(block, dtype=torch.float32)  # its storage, all views' own, holds the block

    def _piece(self, size: int) -> int | None:
        free = self._free[size]
        if free:
            return free.pop()
        offset, self._unused = self._unused, self._unused + _aligned(size)
        if self._unused <= self._end:
            return offset
        self._unused = offset
        return None

    def _give(self, lease: _Lease) -> None:
        """May be called between any two steps of the above: the collector does not ask."""
        self._free[lease.size].append(lease.offset)

    def place(self, tensor: Tensor) -> int:
        """Where in the shared memory ``tensor`` begins; 0 where it lies elsewhere."""
        offset = tensor.data_ptr() - self._address
        return offset if self._start <= offset < self._end else 0


def blocks(flat: Tensor, most: int) -> Sequence[Tensor]:
    """``flat`` in pieces of at most ``most`` elements; itself where it is one."""
    return (flat,) if flat.numel() <= most else flat.split(most)
