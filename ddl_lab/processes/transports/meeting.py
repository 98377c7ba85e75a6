"""How a rank listens and meets: it handles the records that come in, and sleeps until its wait is over.

Before it sleeps it says on the board what it waits for, so that a supervisor can find a deadlock.
"""

from __future__ import annotations

import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence

from ...errors import mismatch_error
from ...node.port import Group
from .board import RETURNED, Board, Slot, doing
from .wire import ENTER, RELEASE, Inbox, Record

_LOOK_S = 0.05  # how often a rank with records for others looks whether these have returned


class Listener:
    """A rank's inbox, its place on the board, and its clock. Kinds of records have their handlers."""

    def __init__(self, rank: int, inbox: Inbox, slot: Slot, board: Board) -> None:
        self.rank = rank
        self.origin = time.monotonic()  # the common start: set again when all are ready
        self._inbox, self._slot, self._board = inbox, slot, board
        self._handlers: dict[int, Callable[[Record], None]] = {}

    def now(self) -> float:
        """Seconds since the common start."""
        return time.monotonic() - self.origin

    def doing(self) -> str:
        """What this rank is doing, in words."""
        return doing(self._board.read(self.rank))

    def _due_now(self) -> float:
        """Now, as the others are told of it."""
        return self.now()

    def _next_due(self) -> float | None:
        """When something is due that no record will tell of; None: never."""
        return None

    def _pass_due(self) -> None:
        """Do what is due."""

    def _post(self, rank: int, record: Record) -> None:
        self._inbox.post(rank, record)

    def _send_rest(self) -> None:
        """Send what other ranks' inboxes had no room for; a rank that has returned reads it no more."""
        self._inbox.flush()
        for rank in [r for r in self._inbox.unsent if self._board.read(r).state == RETURNED]:
            self._inbox.drop(rank)

    def _sleep(self, call: str, needs: tuple[int, ...], any_of: bool, leader: int | None) -> None:
        """Sleep until a record is here, and say so on the board.

        Who has records to send is not stuck: it goes on when the others have read what they have.
        """
        if self._inbox.unsent:
            self._slot.sending(call)
            self._inbox.nap(_LOOK_S)
        else:
            self._slot.blocked(call, needs, any_of, leader)
            self._inbox.sleep()
        self._slot.running()

    def _until(
        self,
        done: Callable[[], bool],
        call: str,
        needs: Callable[[], tuple[int, ...]],
        any_of: bool = False,
        leader: int | None = None,
    ) -> None:
        """Handle records until ``done``; asleep in between, and saying so on the board."""
        while not done():
            due = self._next_due()
            if due is not None:
                self._inbox.nap(due - self.now())
            elif not self._inbox.look():
                self._sleep(call, needs(), any_of, leader)
            self._handle_all()

    def _handle_all(self) -> None:
        if self._inbox.unsent:
            self._send_rest()
        if self._inbox.ready():
            for record in self._inbox.take():
                self._handlers[record.kind](record)
        self._pass_due()


class Meeter(Listener):
    """Meets the other ranks of a group, all of them with the same call."""

    def __init__(self, rank: int, inbox: Inbox, slot: Slot, board: Board) -> None:
        super().__init__(rank, inbox, slot, board)
        self._meetings: dict[int, int] = defaultdict(int)  # by group: meetings so far
        self._entered: dict[tuple[int, int], dict[int, Record]] = defaultdict(dict)
        self._released: dict[tuple[int, int], Record] = {}
        self._last_came: float | None = (
            None  # when the last rank really was in the collective's first meeting
        )
        self._handlers |= {ENTER: self._on_enter, RELEASE: self._on_release}

    def meet(self, group: Group, call: str) -> float:
        """Wait until all of the group are here with an equal ``call``; returns when the last one was due to.

        With a core for each rank every one tells all others. With fewer the group's first rank collects and
        releases: 2(n-1) wake-ups instead of n(n-1).
        """
        number = self._meetings[group.key]
        self._meetings[group.key] = number + 1
        check = zlib.crc32(call.encode())
        due, now = self._due_now(), self.now()
        mine = Record(ENTER, 0, self.rank, group.key, number, check, time_a=due, time_b=now)
        place = (group.key, number)
        self._slot.entered(call, (group.key, group.calls), group.calls)
        leader = group.ranks[0]
        if self._inbox.spins or len(group.ranks) == 2:
            for rank in group.ranks:
                if rank != self.rank:
                    self._post(rank, mine)
            return self._met(self._gather(place, mine, group, call))
        if self.rank != leader:
            self._post(leader, mine)
            others = tuple(r for r in group.ranks if r != self.rank)
            self._until(lambda: place in self._released, call, lambda: others, leader=leader)
            return self._met(self._released.pop(place))
        last = self._gather(place, mine, group, call)
        for rank in group.ranks[1:]:
            self._post(
                rank, Record(RELEASE, 0, leader, group.key, number, time_a=last.time_a, time_b=last.time_b)
            )
        return self._met(last)

    def _met(self, last: Record) -> float:
        """Keep when the last rank really came; returns when it was due to."""
        if self._last_came is None:
            self._last_came = last.time_b
        return last.time_a

    def _gather(self, place: tuple[int, int], mine: Record, group: Group, call: str) -> Record:
        entered = self._entered[place]
        expected = len(group.ranks) - 1
        self._until(
            lambda: len(entered) == expected,
            call,
            lambda: tuple(r for r in group.ranks if r != self.rank and r not in entered),
        )
        del self._entered[place]
        if any(record.check != mine.check for record in entered.values()):
            raise mismatch_error(self._calls(group.ranks, call, place), nth=group.calls)
        came = [mine, *entered.values()]
        return mine._replace(time_a=max(r.time_a for r in came), time_b=max(r.time_b for r in came))

    def _calls(self, ranks: Sequence[int], call: str, place: tuple[int, int]) -> dict[int, str]:
        """What each of ``ranks`` calls in the collective that they disagree on."""
        return {rank: self._board.call(rank) for rank in ranks}

    def _on_enter(self, record: Record) -> None:
        self._entered[record.group, record.number][record.sender] = record

    def _on_release(self, record: Record) -> None:
        self._released[record.group, record.number] = record
