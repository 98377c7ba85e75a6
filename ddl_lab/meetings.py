"""Collectives of a simulation: nodes meet, the last one to come does the arithmetic for all.

Every reduction adds in rank order, once, and is then copied: the same bits on every rank, those of ``run``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .port import Collective, reduce_in_rank_order


class Meeting:
    """One collective of one group: who has entered, with what, and when it ends."""

    __slots__ = ("_missing", "ends", "latest", "ranks", "works")

    def __init__(self, ranks: tuple[int, ...]) -> None:
        self.ranks = ranks
        self.works: dict[int, Collective] = {}  # by rank of the run, in order of entry
        self.latest = self.ends = 0.0
        self._missing: tuple[int, ...] | None = ranks

    def enter(self, rank: int, work: Collective, now: float) -> bool:
        """Note an entry; whether all are here."""
        self.works[rank] = work
        self._missing = None
        self.latest = max(self.latest, now)
        return len(self.works) == len(self.ranks)

    @property
    def first(self) -> int:
        """The rank that entered first."""
        return next(iter(self.works))

    @property
    def missing(self) -> tuple[int, ...]:
        """The ranks that have not entered; kept, because every member's report names them."""
        if self._missing is None:
            self._missing = tuple(rank for rank in self.ranks if rank not in self.works)
        return self._missing

    def calls(self) -> dict[int, str]:
        """Each rank's call."""
        return {rank: work.call for rank, work in self.works.items()}

    def agreed(self) -> bool:
        """Whether all calls are equal."""
        return len({work.call for work in self.works.values()}) == 1

    def carry_out(self) -> None:
        """Move and reduce: each rank's tensors hold their results afterwards."""
        works = [self.works[rank] for rank in self.ranks]
        _DO[works[0].name](works)


def _broadcast(works: Sequence[Collective]) -> None:
    root = works[works[0].src]
    for work in works:
        if work is not root:
            work.own.copy_(root.own)


def _all_reduce(works: Sequence[Collective]) -> None:
    first, *others = works
    reduce_in_rank_order(first.own, [work.own for work in works], first.op)
    for work in others:
        work.own.copy_(first.own)


def _reduce_scatter(works: Sequence[Collective]) -> None:
    whole = torch.empty_like(works[0].full)  # outputs may lie in inputs: none is written too early
    reduce_in_rank_order(whole, [work.full for work in works], works[0].op)
    for work, chunk in zip(works, _chunks(works[0], whole), strict=True):
        work.own.copy_(chunk)


def _all_gather(works: Sequence[Collective]) -> None:
    whole = torch.cat([work.own for work in works])  # as above
    for work in works:
        work.full.copy_(whole)


def _barrier(works: Sequence[Collective]) -> None:
    """Nothing moves."""


def _chunks(work: Collective, whole: Tensor) -> tuple[Tensor, ...]:
    return whole.split(list(work.chunks))


_DO = {
    "broadcast": _broadcast,
    "all_reduce": _all_reduce,
    "reduce_scatter": _reduce_scatter,
    "all_gather": _all_gather,
    "barrier": _barrier,
}
