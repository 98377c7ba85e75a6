"""What a run's end means, in words: a deadlock, a rank that does not respond, a process that died."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence

from ..cluster import Cluster
from ..errors import DeadlockError, WorkerError, deadlock_error, failed_error, hopeless
from .board import BLOCKED, RETURNED, Status, doing


def deadlock(before: Sequence[Status], now: Sequence[Status], quiet: Sequence[bool]) -> DeadlockError | None:
    """The deadlock that two looks at the board show, if they show one.

    All ranks asleep, with empty inboxes (``quiet``), unchanged since the look before: nobody will act
    again. A rank asleep that needs one which has returned is as hopeless, whatever the others do.
    """
    same = [a.version == b.version for a, b in zip(before, now, strict=True)]
    returned = [s.rank for s in before if s.state == RETURNED]
    stuck = [s.wait for s in now if s.state == BLOCKED and quiet[s.rank] and same[s.rank]]
    lost = any(hopeless(wait, returned) for wait in stuck)
    if stuck and (lost or len(stuck) + len(returned) == len(now)):
        return deadlock_error(stuck, returned)
    return None


def slow_report(seen: Sequence[Status], limit_s: float) -> str:
    """What each rank does when the time is over, and whom the others wait for."""
    busy = [s for s in seen if s.state not in (RETURNED, BLOCKED)]
    lines = [f"not finished after timeout_s={limit_s:g}:"]
    lines += [f"  rank {s.rank} {doing(s)}" for s in seen]
    if len(busy) == 1 and len(seen) > 1:
        lines.append(f"  The others wait for rank {busy[0].rank}.")
    return "\n".join(lines)


def death_error(rank: int, code: int, cluster: Cluster | None, origin: float | None) -> WorkerError:
    """The error of a rank whose process died, perhaps because its ``cluster`` lets it fail by now."""
    fails_s = cluster.fails.get(rank, math.inf) if cluster else math.inf
    elapsed_s = 0.0 if origin is None else time.monotonic() - origin
    if code == -signal.SIGKILL and fails_s <= elapsed_s:
        return failed_error(rank, fails_s)
    return WorkerError(f"rank {rank} {death(code)}", rank, "")


def death(code: int) -> str:
    """How a process that said nothing ended."""
    if code >= 0:
        return f"ended its process with exit code {code}: a worker returns, it does not call os._exit."
    name = signal.Signals(-code).name
    hint = {
        "SIGKILL": " (by hand, or because the machine ran out of memory)",
        "SIGSEGV": " (it used memory that is not its own)",
        "SIGBUS": " (shared memory or a mapped file ran out of room)",
    }.get(name, "")
    return f"was killed by {name}{hint}."
