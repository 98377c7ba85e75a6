"""A collective made of messages, each straight to its reader: what one rank knows of it, and what it does.

Every rank sends every other a *word* (that it has entered, when, and with which call) and what that rank
needs of its tensor. Who has all of these has what it takes to reduce in rank order by itself, and nobody else
need act. Bytes and times are counted by the run's algorithm all the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...errors import LabError, mismatch_error
from ...node.port import Collective, Group, Ticket
from ...node.reduction import reduce_in_rank_order
from ...node.sizes import Sizes, cost_of, sizes_error

Place = tuple[int, int]  # a group's key, and that it is the group's first, second, … collective


class Posted:
    """A collective of this rank that is under way; ``beside``: its rank goes on meanwhile."""

    def __init__(self, group: Group, work: Collective, entered: float, beside: bool = True) -> None:
        self.group, self.work, self.beside = group, work, beside
        self.place = (group.key, work.nth)
        self.parts: dict[int, Tensor] = {}  # by rank in the group: what it gives
        self.coming: list[Ticket] = []  # shm: what tells that they are here
        self.going: list[Ticket] = []  # shm, of one that blocks: what tells that others have this rank's
        self.mover: Any = None  # gloo: the thread that moves them
        self.entered: dict[int, float] = {}  # by rank of the run, as ``calls``
        self.calls: dict[int, str] = {}
        self.begins = self.ends = 0.0  # paced: when it has the link
        self.algorithm = ""
        self._sizes: dict[int, Sizes] = {}  # by rank of the run, where each knows only its own
        self._mine = work.sizes.parts(work.given) if work.sizes else {}
        self.hear(group.ranks[group.me], entered, self.text)

    @property
    def text(self) -> str:
        """What this rank tells the others: equal calls, and its own sizes behind them."""
        return f"{self.work.call}\n{self.work.sizes.text()}" if self.work.sizes else self.work.call

    def hear(self, rank: int, entered: float, text: str) -> None:
        """Take a rank's word."""
        call, _, sizes = text.partition("\n")
        self.entered[rank], self.calls[rank] = entered, call
        if sizes:
            self._sizes[rank] = Sizes.of(sizes)

    @property
    def missing(self) -> tuple[int, ...]:
        """Ranks of the run whose word is not here."""
        return tuple(rank for rank in self.group.ranks if rank not in self.calls)

    @property
    def latest(self) -> float:
        """When the last rank entered, once all have."""
        return max(self.entered.values())

    def disagreement(self) -> LabError | None:
        """Why the calls, which are all here, make no collective; None: they make one."""
        if len(set(self.calls.values())) > 1:
            return mismatch_error(self.calls, nth=self.place[1])
        return sizes_error(self.group.ranks, self._told(), self.work.call, self.place[1])

    def _told(self) -> list[Sizes]:
        return [self._sizes[rank] for rank in self.group.ranks] if self._sizes else []

    def gives(self, to: int) -> Tensor:
        """What a rank of the group needs of this one's tensor: flat, perhaps empty."""
        work, me = self.work, self.group.me
        if work.name == "reduce_scatter":
            return work.given.split(list(work.chunks))[to]
        wanted = {
            "all_reduce": True, "all_gather": True, "broadcast": work.src == me, "reduce": work.src == to,
        }  # fmt: skip
        return work.given if wanted.get(work.name) else self._mine.get(to, work.given[:0])

    def takes(self, source: int) -> int:
        """How many elements it needs of a rank."""
        work, me = self.work, self.group.me
        if work.sizes:
            return work.sizes.takes.get(source, 0)
        return {
            "all_reduce": work.given.numel(),
            "reduce": work.given.numel() * (work.src == me),
            "broadcast": work.given.numel() * (work.src == source),
            "reduce_scatter": work.chunks[me],
            "all_gather": work.chunks[source],
            "barrier": 0,
        }[work.name]

    def carry_out(self) -> None:
        """Reduce or copy what all have given, in rank order."""
        work, me = self.work, self.group.me
        self.parts[me] = self.gives(me)
        parts = [self.parts[rank] for rank in range(len(self.group.ranks))]
        if work.sizes:
            work.cost = cost_of(work.name, self._told(), work.src, work.own.element_size())
            if work.sizes.takes:
                work.full.copy_(torch.cat([parts[rank] for rank in work.sizes.takes]))
        elif work.name in ("all_reduce", "reduce_scatter"):
            reduce_in_rank_order(work.own, parts, work.op)
        elif work.name == "reduce" and work.src == me:
            work.own.copy_(reduce_in_rank_order(torch.empty_like(work.own), parts, work.op))
        elif work.name == "broadcast":
            work.own.copy_(parts[work.src])
        elif work.name == "all_gather":
            work.full.copy_(torch.cat(parts))
