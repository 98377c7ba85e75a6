"""Which node of a simulation fails when, and who waits for that.

A node runs ahead on its own clock, but not past the next failure of any: what it did there, a file that it
wrote, would come from a time that the run does not reach.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..cluster.faults import NEVER_S
from ..cluster.model import Cluster


class Failures:
    """The failures that a cluster has for ``nodes`` nodes, when the clock begins at ``began_s``."""

    def __init__(self, cluster: Cluster, nodes: int, began_s: float) -> None:
        may = range(nodes) if cluster.mtbf_s is not None else cluster.fails
        coming = sorted((began_s + cluster.fails_s(rank), rank) for rank in may)
        self.at_s = {rank: at_s for at_s, rank in coming if at_s < NEVER_S}
        self._times = iter(self.at_s.values())
        self.next_s = next(self._times, NEVER_S)  # which no node passes
        self._held: list[int] = []

    def of(self, rank: int) -> float:
        """When ``rank`` fails; infinite where it does not."""
        return self.at_s.get(rank, NEVER_S)

    def hold(self, rank: int) -> None:
        """``rank`` is about to pass the next failure: it goes on when that has not ended the run."""
        self._held.append(rank)

    def passed(self) -> Iterable[int]:
        """The next failure is of a node that has returned: who waited for it, lowest rank first."""
        self.next_s = next(self._times, NEVER_S)
        held, self._held = sorted(self._held), []
        return held
