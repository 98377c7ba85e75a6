"""Who waits for what in a simulation, and which waits can never end."""

from __future__ import annotations

from ..errors import LabError, Wait, deadlock_error, hopeless, mismatch_error
from ..node.port import Ticket
from .meetings import Meeting


class Waits:
    """What every blocked node waits for, and who has returned."""

    def __init__(self) -> None:
        self.returned: set[int] = set()
        self.on: dict[int, Ticket | Meeting] = {}  # by rank

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
