"""Room in shared memory: for messages that wait to be fetched, and for the blocks of collectives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_MOST_VIEWS = 64


class Outbox:
    """Room for messages in this rank's region: first fit, freed in any order."""

    def __init__(self, start: int, size: int) -> None:
        self._free = [(start, start + size)]

    def take(self, size: int) -> int | None:
        """The offset of ``size`` bytes, aligned to 64, or None where there is no such room now."""
        need = max(64, -(-size // 64) * 64)
        for i, (start, end) in enumerate(self._free):
            if end - start >= need:
                self._free[i] = (start + need, end)
                return start
        return None

    def give(self, offset: int, size: int) -> None:
        """Give room back."""
        end = offset + max(64, -(-size // 64) * 64)
        merged: list[tuple[int, int]] = []
        for start, stop in sorted([*self._free, (offset, end)]):
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], stop)
            elif stop > start:
                merged.append((start, stop))
        self._free = merged


class Area:
    """One group's shared areas as seen from this rank, by the member's rank in the group."""

    def __init__(self, slots: list[list[Tensor]], results: list[Tensor]) -> None:
        self._slots, self.results = slots, results
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
            views = self._views[key] = [typed(slot, like, count) for slot in self._slots[self._turn]]
        return list(views)


def blocks(flat: Tensor, most: int) -> Sequence[Tensor]:
    """``flat`` in pieces of at most ``most`` elements; itself where it is one."""
    return (flat,) if flat.numel() <= most else flat.split(most)


def typed(slot: Tensor, like: Tensor, count: int) -> Tensor:
    """The first ``count`` elements of a slot's bytes, as ``like``'s type."""
    return slot[: count * like.element_size()].view(like.dtype)
