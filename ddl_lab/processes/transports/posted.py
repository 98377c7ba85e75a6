"""Collectives that go on while their rank computes: made of messages, each straight to its reader.

A rank that starts one sends every other a *word* (that it has entered, when, and with which call) and what
that rank needs of its tensor. Who waits for it has then all that it takes to reduce in rank order by itself,
and nobody else need act. Bytes and times are counted by the run's algorithm all the same.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from ...cluster.collectives import Work
from ...errors import mismatch_error
from ...node.port import Collective, Group, Ticket
from ...node.reduction import reduce_in_rank_order
from .board import Board, Slot
from .mailbox import Mailbox
from .pacing import nap
from .wire import INLINE, WORD, Inbox, Record

Place = tuple[int, int]  # a group's key, and that it is the group's first, second, … collective


class Posted:
    """A collective of this rank that is under way."""

    def __init__(self, group: Group, work: Collective, entered: float) -> None:
        self.group, self.work = group, work
        self.number = group.calls  # that it is the group's first, second, …
        self.place = (group.key, group.calls)
        self.parts: dict[int, Tensor] = {}  # by rank in the group: what it gives
        self.coming: list[Ticket] = []  # shm: what tells that they are here
        self.mover: Any = None  # gloo: the thread that moves them
        self.entered = {group.ranks[group.me]: entered}  # by rank of the run, as ``calls``
        self.calls = {group.ranks[group.me]: work.call}
        self.begins = self.ends = 0.0  # paced: when it has the link
        self.algorithm = ""

    @property
    def missing(self) -> tuple[int, ...]:
        """Ranks of the run whose word is not here."""
        return tuple(rank for rank in self.group.ranks if rank not in self.calls)

    @property
    def latest(self) -> float:
        """When the last rank entered, once all have."""
        return max(self.entered.values())

    def gives(self, to: int) -> Tensor:
        """What this rank's part of the group needs of it: flat, perhaps empty."""
        work = self.work
        if work.name == "reduce_scatter":
            return work.given.split(list(work.chunks))[to]
        gives = work.name in ("all_reduce", "all_gather") or work.src == self.group.me
        return work.given if gives else work.given[:0]

    def takes(self, source: int) -> int:
        """How many elements it needs of a rank."""
        work = self.work
        sizes = {"reduce_scatter": work.chunks[self.group.me], "all_gather": work.chunks[source]}
        takes = work.name != "broadcast" or source == work.src
        return sizes.get(work.name, work.given.numel()) if takes else 0

    def carry_out(self) -> None:
        """Reduce or copy what all have given, in rank order."""
        work, me = self.work, self.group.me
        self.parts[me] = self.gives(me)
        parts = [self.parts[rank] for rank in range(len(self.group.ranks))]
        if work.name in ("all_reduce", "reduce_scatter"):
            reduce_in_rank_order(work.own, parts, work.op)
        elif work.name == "broadcast":
            work.own.copy_(parts[work.src])
        elif work.name == "all_gather":
            work.full.copy_(torch.cat(parts))


class Posting(Mailbox):
    """The part of a rank's ``Port`` that starts collectives and finishes them later."""

    def __init__(self, rank: int, inbox: Inbox, slot: Slot, board: Board) -> None:
        super().__init__(rank, inbox, slot, board)
        self.algorithm = "ring"  # by whose formula the last collective is counted
        self._texts: dict[tuple[int, Place], bytes] = defaultdict(bytes)  # words of which the end is to come
        self._words: dict[Place, list[tuple[int, float, str]]] = defaultdict(
            list
        )  # of what hasn't begun here
        self._posts: dict[Place, Posted] = {}  # under way
        self._unpriced: list[Posted] = []  # paced: those that have had no turn on the link yet
        self._free_s = 0.0  # paced: until when collectives have this rank's link
        self._handlers |= {WORD: self._on_word}

    # Port

    @property
    def modelled(self) -> bool:
        return self.pacer is not None

    def start(self, group: Group, work: Collective) -> Posted:
        self.enters()
        posted = Posted(group, work, self._due_now())
        self._posts[posted.place] = posted
        if self.pacer:
            self._unpriced.append(posted)
        for rank in group.others():
            self._send_words(posted, rank)
        self._set_out(posted)
        self._handle_all()
        self._take_words(posted.place)
        if self.pacer:
            self.pacer.reached(self._due_now())  # the bytes that were copied took real time
        return posted

    def finish(self, posted: Posted) -> tuple[float, float]:
        self.enters()
        call = posted.work.call
        self._slot.entered(call, posted.place, posted.number)
        self._until(lambda: not posted.missing, call, lambda: posted.missing)
        if len(set(posted.calls.values())) > 1:
            raise mismatch_error(posted.calls, nth=posted.number)
        all_here = self.now()
        self._collect(posted)
        posted.carry_out()
        del self._posts[posted.place]
        if not self.pacer:
            return posted.latest, self.now()
        self._price_until(posted.latest)
        self.algorithm = posted.algorithm
        worked = self.pacer.due(all_here) + self.now() - all_here
        self._rest_until(self.pacer.overran(posted.ends, worked))
        return posted.begins, posted.ends

    def look(self, posted: Posted) -> bool:
        self._handle_all()
        if posted.missing or not self._is_here(posted):
            return False
        self._price_until(posted.latest)
        return self.now() >= posted.ends

    # what a transport fills in

    def _set_out(self, posted: Posted) -> None:
        """Send every other rank of the group the part that it needs."""
        raise NotImplementedError

    def _collect(self, posted: Posted) -> None:
        """Block until the parts of all are here: their words are."""
        raise NotImplementedError

    def _is_here(self, posted: Posted) -> bool:
        """Whether ``_collect`` would not block."""
        raise NotImplementedError

    # words

    def _send_words(self, posted: Posted, rank: int) -> None:
        """The call, in as many records as its text takes: equal texts are equal calls."""
        text, (key, number) = posted.work.call.encode(), posted.place
        entered = posted.entered[self.rank]
        for at in range(0, len(text), INLINE):
            piece = text[at : at + INLINE]
            word = Record(
                WORD, 0, self.rank, key, number, 0, 0, 0, len(piece), entered, 0.0, len(text), piece
            )
            self._post(rank, word)

    def _on_word(self, record: Record) -> None:
        place = (record.group, record.number)
        self._texts[record.sender, place] += record.inline[: record.size]
        if len(self._texts[record.sender, place]) == record.total:
            call = self._texts.pop((record.sender, place)).decode()
            self._words[place].append((record.sender, record.time_a, call))
            self._take_words(place)

    def _take_words(self, place: Place) -> None:
        """Give what is known of a collective to it, once it has begun here."""
        if (posted := self._posts.get(place)) is not None:
            for rank, entered, call in self._words.pop(place, ()):
                posted.entered[rank], posted.calls[rank] = entered, call

    # paced

    def _price_until(self, latest: float) -> None:
        """Give the link to all collectives that were complete by ``latest``, in that order."""
        complete = [p for p in self._unpriced if not p.missing and p.latest <= latest]
        for posted in sorted(complete, key=lambda p: p.latest):
            work = posted.work
            posted.algorithm, posted.begins, posted.ends = self._priced(posted.latest, work, posted.group)
            self._unpriced.remove(posted)

    def _priced(self, latest: float, work: Collective, group: Group) -> tuple[str, float, float]:
        """A collective's algorithm, and from when to when it has this rank's link."""
        assert self.pacer is not None
        size = work.own.element_size()
        cost = Work(work.name, tuple(c * size for c in work.chunks), work.src)
        algorithm, seconds = self.pacer.cluster.priced(cost, group.ranks)
        begins = max(latest, self._free_s)
        self._free_s = begins + seconds
        return algorithm, begins, self._free_s

    def _rest_until(self, end: float) -> None:
        """Sleep until ``end``: this rank is due then."""
        assert self.pacer is not None
        while (left := end - self.now()) > 0:
            nap(left)
        self.pacer.reached(end)
