"""Pacing: real processes that take the time which a described cluster would take.

A compute span is filled up by sleeping; a message is held back until the cluster's links would have
delivered it; a collective ends when its algorithm would have ended. So eight "accelerators" behave
truly on two cores, as long as the real work is done in less time than the cluster would need. Where a
node's call really takes longer than its price, the real time counts: pacing forgives oversleeping, and code
between spans, which is free, but hides nothing of what the exchange costs on this machine.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from ...cluster.faults import NEVER_S
from ...cluster.model import Cluster

_LATE_S = 0.01
_OVERSLEEP_S = 150e-6  # sleeping wakes up to this late: the rest is waited out awake


class Pacer:
    """One rank's share of a cluster: its speed, and its two links. Times are on the run's clock."""

    def __init__(self, cluster: Cluster, rank: int, began_s: float = 0.0) -> None:
        self.cluster = cluster
        self.fails_s = began_s + cluster.fails_s(rank)  # infinite: never
        self._rank = rank
        self._out_free = self._in_free = 0.0
        self._reached = began_s  # when this rank's last span was due to end
        self._began = self._due_then = 0.0  # the node's call that is on: when it began, and was due to
        self._spans = 0  # compute spans so far
        self.missed_s = 0.0  # what was taken beyond the pace, and isn't made up
        self.planned_s = 0.0  # how long the compute span that is on should take

    def due(self, now: float) -> float:
        """When this rank was due to be where it is ``now``.

        The time between two spans is free, as it is in a simulation: waking up late on a busy core must
        not add up. A rank that is later than ``_LATE_S`` does not catch up: so much is missed.
        """
        lost = max(0.0, now - _LATE_S - self._reached)
        self._reached += lost
        self.missed_s += lost
        return self._reached

    def enters(self, now: float) -> None:
        """A call of the node begins. Until the next one its real time counts: see ``worked``."""
        self._began, self._due_then = now, self.due(now)

    def worked(self, now: float) -> float:
        """When this rank was due to be where it is ``now``, inside a call: as late as it came, no later."""
        return self._due_then + now - self._began

    def reached(self, when: float) -> None:
        """A span of this rank was due to end at ``when``."""
        self._reached = max(self._reached, when)

    def overran(self, priced: float, really: float) -> float:
        """When a call ends that should by its price, and really has: the later; what is over is missed."""
        self.missed_s += max(0.0, really - priced)
        return max(priced, really)

    def begin_span(self, unit: str, amount: float) -> float:
        """The next compute span begins; how long it should take."""
        self._spans += 1
        self.planned_s = self.cluster.span_s(self._rank, unit, amount, self._spans)
        return self.planned_s

    def departure(self, posted: float, dst: int, nbytes: int) -> float:
        """When the first byte of a message posted now reaches the receiver: one message at a time."""
        latency_s, bandwidth = self.cluster.link(self._rank, dst)
        start = max(posted, self._out_free)
        self._out_free = start + nbytes / bandwidth
        return start + latency_s

    def arrival(self, head: float, src: int, nbytes: int) -> float:
        """When a message whose first byte comes at ``head`` has arrived: one message at a time."""
        self._in_free = max(head, self._in_free) + nbytes / self.cluster.link(self._rank, src)[1]
        return self._in_free

    def link_began(self, arrives: float, src: int, nbytes: int) -> float:
        """When the incoming link began to carry a message that has arrived."""
        return arrives - nbytes / self.cluster.link(self._rank, src)[1]

    def taken(self, arrives: float, head: float, sent: float, src: int, now: float) -> float:
        """When a message was due to be taken that ``arrives`` by its link and is really here ``now``.

        ``head``: as ``departure`` gave it; ``sent``: when its bytes really left. What it took since sender,
        link and receiver were ready for it counts as if it had gone on beside the link.
        """
        moving_s = now - max(arrives, sent, self._began)
        start = max(head - self.cluster.link(self._rank, src)[0], self._due_then)
        return self.overran(max(arrives, self._due_then), max(start + moving_s, now - _LATE_S))


def die_in_time(pacer: Pacer | None, origin: float, returned: threading.Event) -> None:
    """Kill this process when its cluster lets this rank fail, unless its worker has returned by then.

    ``origin``: ``time.monotonic`` of the common start.
    """
    if pacer is None or pacer.fails_s == NEVER_S:
        return
    at = origin + pacer.fails_s

    def wait() -> None:
        while (left := at - time.monotonic()) > 0:
            if returned.wait(min(left, threading.TIMEOUT_MAX)):
                return
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def nap(seconds: float) -> None:
    """Sleep a little less than ``seconds``; what is left is too short to sleep exactly."""
    time.sleep(max(0.0, seconds - _OVERSLEEP_S))
