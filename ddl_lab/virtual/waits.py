"""Who waits for what in a simulation, and which waits can never end."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import LabError, Wait, deadlock_error, hopeless, mismatch_error
from ..node.port import Ticket
from .meetings import Meeting
from .network import END, Events


class Waits:
    """What every blocked node waits for, and who has returned; ``is_coming(rank)``: a message to it is."""

    def __init__(self, events: Events, is_coming: Callable[[int], bool]) -> None:
        self.returned: set[int] = set()
        self.on: dict[int, Ticket | Meeting] = {}  # by rank
        self._since: dict[int, float] = {}  # by rank, in virtual seconds
        self._events, self._is_coming = events, is_coming

    def begin(self, rank: int, since: float, on: Ticket | Meeting) -> None:
        """``rank`` waits for ``on`` from now on, which is ``since`` on its clock."""
        self.on[rank], self._since[rank] = on, since
        if self.returned:
            self.doubt(rank)

    def end(self, rank: int) -> None:
        """``rank`` goes on."""
        del self.on[rank]

    def doubt(self, rank: int) -> None:
        """Look at the wait of ``rank`` once all is in that comes at its time."""
        if self.suspect(rank):
            at = max(self._events.now, self._since[rank])
            self._events.at(at, END, rank, self._check, rank)

    def _check(self, rank: int) -> None:
        ahead = self._since[rank] > self._events.now  # it went on; the wait it is in has its own check
        if not ahead and not self._is_coming(rank) and self.vain(rank):
            raise self.deadlock()

    def suspect(self, rank: int) -> bool:
        """Whether the wait of ``rank`` may be vain: a quick look, wrong only where it says yes."""
        on = self.on.get(rank)
        if on is None or not self.returned:
            return False
        if isinstance(on, Meeting):
            return rank == on.first  # who entered first asks for all
        one = len(on.needs) == 1
        return on.needs[0] in self.returned if one else len(self.returned) >= len(on.needs)

    def vain(self, rank: int) -> bool:
        """Whether ``rank`` waits for ranks that have returned."""
        wait = self._wait(rank)
        return wait is not None and hopeless(wait, self.returned)

    def deadlock(self) -> LabError:
        """Say what every blocked node waits for; or, where some disagree on a collective, that."""
        for on in set(self.on.values()):
            if isinstance(on, Meeting) and not on.agreed():
                return mismatch_error(on.calls(), on.missing, on.nth)
        waits = map(self._wait, self.on)
        return deadlock_error([wait for wait in waits if wait is not None], self.returned)

    def _wait(self, rank: int) -> Wait | None:
        """What ``rank`` waits for; None where it is only not yet resumed."""
        on = self.on.get(rank)
        if isinstance(on, Ticket):
            return Wait(rank, on.call, on.needs, len(on.needs) > 1)
        if on is None or not on.missing:
            return None
        return Wait(rank, on.works[rank].call, on.missing, nth=on.nth)
