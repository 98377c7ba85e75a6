"""Pacing: real processes that take the time which a described cluster would take.

A compute span is filled up by sleeping; a message is held back until the cluster's links would have
delivered it; a collective ends when its algorithm would have ended. So eight "accelerators" behave
truly on two cores, as long as the real work is done in less time than the cluster would need.
"""

from __future__ import annotations

import time

from ..cluster import Cluster
from ..collectives import Work

_LATE_S = 0.01
_OVERSLEEP_S = 150e-6  # sleeping wakes up to this late: the rest is waited out awake


class Pacer:
    """One rank's share of a cluster: its speed, and its two links. Times are on the run's clock."""

    def __init__(self, cluster: Cluster, rank: int) -> None:
        self.cluster = cluster
        self._rank = rank
        self._out_free = self._in_free = 0.0
        self._reached = 0.0  # when this rank's last span was due to end

    def due(self, now: float) -> float:
        """When this rank was due to be where it is ``now``.

        The time between two spans is free, as it is in a simulation: waking up late on a busy core must
        not add up. A rank that is later than ``_LATE_S`` does not catch up.
        """
        return max(self._reached, now - _LATE_S)

    def reached(self, when: float) -> None:
        """A span of this rank was due to end at ``when``."""
        self._reached = max(self._reached, when)

    def compute_s(self, unit: str, amount: float) -> float:
        """How long a compute span should take."""
        return self.cluster.compute_s(self._rank, unit, amount)

    def departure(self, posted: float, nbytes: int) -> float:
        """When the first byte of a message posted now reaches the receiver: one message at a time."""
        start = max(posted, self._out_free)
        self._out_free = start + nbytes / self.cluster.bandwidth_bytes_per_s
        return start + self.cluster.latency_s

    def arrival(self, head: float, nbytes: int) -> float:
        """When a message whose first byte comes at ``head`` has arrived: one message at a time."""
        self._in_free = max(head, self._in_free) + nbytes / self.cluster.bandwidth_bytes_per_s
        return self._in_free

    def link_began(self, arrives: float, nbytes: int) -> float:
        """When the incoming link began to carry a message that has arrived."""
        return arrives - nbytes / self.cluster.bandwidth_bytes_per_s

    def collective_end(self, last_entry: float, work: Work) -> float:
        """When a collective should end."""
        return last_entry + self.cluster.collective_s(work)


def nap(seconds: float) -> None:
    """Sleep a little less than ``seconds``; what is left is too short to sleep exactly."""
    time.sleep(max(0.0, seconds - _OVERSLEEP_S))
