"""Collectives made of messages, as a rank starts and finishes them; in between it may go on computing."""

from __future__ import annotations

from collections import defaultdict

from torch import Tensor

from ...node.port import Collective, Group
from .board import Board, Slot
from .mailbox import Mailbox
from .pacing import nap
from .posted import Place, Posted
from .wire import INLINE, WORD, Inbox, Record


class Posting(Mailbox):
    """The part of a rank's ``Port`` that starts collectives and finishes them later."""

    def __init__(self, rank: int, inbox: Inbox, slot: Slot, board: Board) -> None:
        super().__init__(rank, inbox, slot, board)
        self.algorithm = "ring"  # by whose formula the last collective is counted
        self._texts: dict[tuple[int, Place], bytes] = defaultdict(bytes)  # words of which the end is to come
        self._words: dict[Place, list[tuple[int, float, str]]] = defaultdict(list)  # of what's to begin here
        self._posts: dict[Place, Posted] = {}  # under way
        self._unpriced: list[Posted] = []  # paced: those that have had no turn on the link yet
        self._free_s = 0.0  # paced: until when collectives have this rank's link
        self._handlers |= {WORD: self._on_word}

    # Port

    @property
    def modelled(self) -> bool:
        return self.pacer is not None

    def copied(self, tensor: Tensor) -> Tensor:
        return tensor.clone()

    def start(self, group: Group, work: Collective) -> Posted:
        self.enters()
        posted = self._post_words(Posted(group, work, self._due_now()))
        if self.pacer:
            self._unpriced.append(posted)
        self._handle_all()
        if self.pacer:
            self.pacer.reached(self._due_now())  # the bytes that were copied took real time
        return posted

    def swap(self, group: Group, work: Collective) -> float:
        """Do one that blocks; returns when its last rank entered."""
        last = self.meet(group, work.call)
        posted = self._post_words(Posted(group, work, self._due_now(), beside=False))
        self._complete(posted)
        self._carry_out(posted)
        return last

    def _post_words(self, posted: Posted) -> Posted:
        """Tell the others of it, send them their parts, and hear what they have told before."""
        self._posts[posted.place] = posted
        with self._inbox.together():
            for rank in posted.group.others():
                self._send_words(posted, rank)
            self._set_out(posted)
        self._take_words(posted.place)
        return posted

    def _complete(self, posted: Posted) -> None:
        """Wait for the words of all; raises where they make no collective."""
        self._until(lambda: not posted.missing, posted.work.call, lambda: posted.missing)
        if wrong := posted.disagreement():
            raise wrong

    def finish(self, posted: Posted) -> tuple[float, float]:
        self.enters()
        self._slot.entered(posted.work.call, posted.place, posted.place[1])
        self._complete(posted)
        all_here = self.now()
        self._carry_out(posted)
        if not self.pacer:
            return posted.latest, self.now()
        self._price_until(posted.latest)
        self.algorithm = posted.algorithm
        worked = self.pacer.due(all_here) + self.now() - all_here
        self._rest_until(self.pacer.overran(posted.ends, worked))
        return posted.begins, posted.ends

    def _carry_out(self, posted: Posted) -> None:
        self._collect(posted)
        posted.carry_out()
        del self._posts[posted.place]

    def look(self, posted: Posted) -> bool:
        self._handle_all()
        if posted.missing:
            return False
        if posted.disagreement():
            return True  # ``finish`` says what is wrong
        if not self._is_here(posted):
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
        text, (key, number) = posted.text.encode(), posted.place
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
            text = self._texts.pop((record.sender, place)).decode()
            self._words[place].append((record.sender, record.time_a, text))
            self._take_words(place)

    def _take_words(self, place: Place) -> None:
        """Give what is known of a collective to it, once it has begun here."""
        if (posted := self._posts.get(place)) is not None:
            for word in self._words.pop(place, ()):
                posted.hear(*word)

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
        algorithm, seconds = self.pacer.cluster.priced(work.cost, group.ranks)
        begins = max(latest, self._free_s)
        self._free_s = begins + seconds
        return algorithm, begins, self._free_s

    def _rest_until(self, end: float) -> None:
        """Sleep until ``end``: this rank is due then."""
        assert self.pacer is not None
        while (left := end - self.now()) > 0:
            nap(left)
        self.pacer.reached(end)
