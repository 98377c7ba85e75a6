"""Collectives of a simulation: nodes meet, who comes last reduces for all, each takes its part as it wakes.

Every reduction adds in rank order, once, and is then copied: the same bits on every rank, those of ``run``.
A copy is made when its node goes on: the node reads it next, and no slice has to make all copies at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..cluster.model import Cluster
from ..errors import LabError, mismatch_error
from ..node.port import Collective, Group
from ..node.reduction import reduce_in_rank_order
from ..node.sizes import Sizes, cost_of, sizes_error
from .network import HEAD, WAKE, Events

Copy = tuple[Tensor, Tensor]  # to, from
Copies = list[Copy | None]  # by rank of the group; None: it has nothing to take


class Meeting:
    """One collective of one group: who has entered, with what, and when it ends."""

    __slots__ = (
        "_copies", "_missing", "algorithm", "begins", "ends", "first", "latest", "nth", "over", "ranks",
        "works",
    )  # fmt: skip

    def __init__(self, ranks: tuple[int, ...], nth: int) -> None:
        self.ranks = ranks
        self.nth = nth  # that it is the group's first, second, …
        self.first = -1  # the rank that waited for it first
        self.works: dict[int, Collective] = {}  # by rank of the run, until it is carried out
        self.latest = 0.0  # when the last rank entered
        self.begins = self.ends = 0.0  # when it is carried out: its ranks' links may be busy before
        self.over = False
        self.algorithm = ""  # by which it was carried out
        self._missing: tuple[int, ...] | None = ranks
        self._copies: dict[int, Copy] = {}  # by rank: what it still has to take

    def enter(self, rank: int, work: Collective, now: float) -> bool:
        """Note an entry; whether all are here."""
        self.works[rank] = work
        self._missing = None
        self.latest = max(self.latest, now)
        return len(self.works) == len(self.ranks)

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
        """Whether all calls so far are equal."""
        return len({work.call for work in self.works.values()}) <= 1

    def disagreement(self) -> LabError | None:
        """Why the calls of all ranks make no collective; None: they make one."""
        if not self.agreed():
            return mismatch_error(self.calls(), nth=self.nth)
        works = [self.works[rank] for rank in self.ranks]
        return sizes_error(self.ranks, _told(works), works[0].call, self.nth)

    def carry_out(self) -> None:
        """Reduce what all brought; each has then to ``take`` its part."""
        works = [self.works[rank] for rank in self.ranks]
        if told := _told(works):
            cost = cost_of(works[0].name, told, works[0].src, works[0].own.element_size())
            for work in works:
                work.cost = cost
        copies = zip(self.ranks, _COPIES[works[0].name](works), strict=True)
        self._copies = {rank: copy for rank, copy in copies if copy is not None}
        self.works, self._missing = {}, ()

    def take(self, rank: int) -> None:
        """Copy its part to a node that goes on, and let go of its tensors."""
        if rank in self._copies:
            target, source = self._copies.pop(rank)
            target.copy_(source)


class Meetings:
    """All collectives of a simulation; ``settled(rank, meeting)`` is called for each member at its end.

    A rank's collectives have its link one after another, in the order in which all have entered them.
    """

    def __init__(self, cluster: Cluster, events: Events, settled: Callable[[int, Meeting], None]) -> None:
        self._cluster, self._events, self._settled = cluster, events, settled
        self._busy_s: dict[int, float] = {}  # by rank: until when its link is taken
        self._open: dict[tuple[int, int], Meeting] = {}  # by group and its count of collectives

    def enter(self, rank: int, now: float, group: Group, work: Collective) -> Meeting:
        """Enter a collective at virtual time ``now``; who comes last does the arithmetic for all."""
        place = (group.key, work.nth)
        meeting = self._open.get(place)
        if meeting is None:
            meeting = self._open[place] = Meeting(group.ranks, work.nth)
        if meeting.enter(rank, work, now):
            del self._open[place]
            if wrong := meeting.disagreement():
                self._events.fail(meeting.latest, rank, wrong)
            else:
                self._carry_out(meeting, work)
        return meeting

    def _carry_out(self, meeting: Meeting, work: Collective) -> None:
        meeting.carry_out()
        meeting.algorithm, meeting.ends = self._cluster.priced(work.cost, meeting.ranks)
        self._events.at(meeting.latest, HEAD, meeting.ranks[0], self._begin, meeting)

    def _begin(self, meeting: Meeting) -> None:
        busy = self._busy_s
        meeting.begins = max(meeting.latest, max(busy.get(rank, 0.0) for rank in meeting.ranks))
        meeting.ends += meeting.begins
        for rank in meeting.ranks:
            busy[rank] = meeting.ends
            self._events.at(meeting.ends, WAKE, rank, self._end, (rank, meeting))

    def _end(self, subject: tuple[int, Meeting]) -> None:
        rank, meeting = subject
        meeting.over = True
        self._settled(rank, meeting)

    def clear(self) -> None:
        """Let go of all meetings."""
        self._open.clear()


def _told(works: Sequence[Collective]) -> list[Sizes]:
    """The sizes that all ranks tell, where each knows its own."""
    return [work.sizes for work in works if work.sizes]


# What each rank has to copy, in order of the group. The sources are nobody's tensors: nodes that have gone
# on may change theirs. They are one temporary for all.


def _broadcast(works: Sequence[Collective]) -> Copies:
    sent = works[works[0].src].given.clone()
    return [(work.own, sent) for work in works]


def _reduced(works: Sequence[Collective]) -> Tensor:
    return reduce_in_rank_order(torch.empty_like(works[0].given), [work.given for work in works], works[0].op)


def _all_reduce(works: Sequence[Collective]) -> Copies:
    reduced = _reduced(works)
    return [(work.own, reduced) for work in works]


def _reduce(works: Sequence[Collective]) -> Copies:
    reduced = _reduced(works)
    return [(work.own, reduced) if rank == work.src else None for rank, work in enumerate(works)]


def _reduce_scatter(works: Sequence[Collective]) -> Copies:
    chunks = _reduced(works).split(list(works[0].chunks))
    return [(work.own, chunk) for work, chunk in zip(works, chunks, strict=True)]


def _all_gather(works: Sequence[Collective]) -> Copies:
    whole = torch.cat([work.given for work in works])
    return [(work.full, whole) for work in works]


def _exchange(works: Sequence[Collective]) -> Copies:
    """Each rank's parts of what the others give it, one after another."""
    coming: list[list[Tensor]] = [[] for _ in works]
    for work in works:
        assert work.sizes
        for taker, part in work.sizes.parts(work.given).items():
            coming[taker].append(part)
    return [
        (work.full, torch.cat(parts)) if parts else None for work, parts in zip(works, coming, strict=True)
    ]


def _barrier(works: Sequence[Collective]) -> Copies:
    return [None] * len(works)


_COPIES = {
    "broadcast": _broadcast,
    "all_reduce": _all_reduce,
    "reduce": _reduce,
    "reduce_scatter": _reduce_scatter,
    "all_gather": _all_gather,
    "gather": _exchange,
    "scatter": _exchange,
    "all_to_all": _exchange,
    "barrier": _barrier,
}
