"""What every transport shares: a rank's clock and paces, and the frame of a collective.

A transport subclasses ``Endpoint`` and fills ``_move`` and what ``mailbox.py`` and ``posting.py`` name.
"""

from __future__ import annotations

import torch

from ...cluster.model import Cluster
from ...node.port import Collective, Group
from .board import Board, Slot
from .pacing import Pacer, nap
from .posted import Posted
from .posting import Posting
from .wire import Inbox

_SWAPPED = ("reduce", "gather", "scatter", "all_to_all")  # of messages, each straight to its reader
_HANDS_S = 0.05  # how soon a change of the slow factor acts on a span


class Endpoint(Posting):
    """One rank's ``Port`` in real processes, but for how bytes move."""

    chooses = False

    def __init__(self, rank: int, nodes: int, inbox: Inbox, slot: Slot, board: Board) -> None:
        super().__init__(rank, inbox, slot, board)
        self.nodes = nodes
        self.device = torch.device("cpu")
        self.slow = 1.0  # how many times as long this rank takes to compute: the learner's hand

    def missed_s(self) -> float:
        """What this rank, whose worker ends now, took beyond its pace; 0 where it keeps none."""
        if not self.pacer:
            return 0.0
        self.pacer.due(self.now())  # its last span may have ended late
        return self.pacer.missed_s

    # Port

    def pace(self, cluster: Cluster, began_s: float = 0.0) -> None:
        """Take the time that ``cluster`` would, on a clock that begins at ``began_s``."""
        self.pacer = Pacer(cluster, self.rank, began_s)
        self.chooses = cluster.algorithm == "auto"

    def computes(self, unit: str, amount: float) -> float:
        started = self.now()
        if self.pacer:
            ends = self.pacer.due(started) + self.pacer.begin_span(unit, amount) * self.slow
            while ends > self.pacer.fails_s:  # it dies in the span, of which nothing is done: its end comes
                nap(_HANDS_S)
        return started

    def computed(self, started: float) -> float:
        took = self.now() - started
        planned = took
        if self.pacer:
            started, planned = self.pacer.due(started), self.pacer.planned_s
        while (left := started + planned * self.slow - self.now()) > 0 and planned * self.slow > took:
            nap(min(left, _HANDS_S))  # a hand may change the factor meanwhile
        if self.pacer:
            self.pacer.reached(started + planned * self.slow)
        return self.now()

    def collective(self, group: Group, work: Collective) -> tuple[float, float]:
        if len(group.ranks) == 1:
            Posted(group, work, now := self.now()).carry_out()
            return now, now
        self.enters()
        self._last_came = None
        last = (self.swap if work.name in _SWAPPED else self._move)(group, work)
        if self.pacer:
            assert self._last_came is not None  # every collective meets
            moved = last + self.now() - self._last_came
            self._price_until(last)
            self.algorithm, last, end = self._priced(last, work, group)
            self._rest_until(self.pacer.overran(end, moved))
        return last, self.now()

    def close(self) -> None:
        """See all sent that others wait for, and say that the worker has ended."""
        self._until(lambda: not self._inbox.unsent, "its end", lambda: ())
        self._slot.returned()

    def _move(self, group: Group, work: Collective) -> float:
        """Do a collective; returns when its last rank entered."""
        raise NotImplementedError
