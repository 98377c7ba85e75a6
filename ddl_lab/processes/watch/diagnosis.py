"""Whether a run's end is a deadlock, a silent rank, or a dead process; errors.py has a deadlock's words."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import psutil

from ...cluster.faults import NEVER_S
from ...errors import LabError, WorkerError, deadlock_error, failed_error, hopeless, mismatch_error, shortened
from ..launch.channel import UNHEARD
from ..plan import Plan
from ..transports.board import BLOCKED, RETURNED, STARTING, Status, doing

_LATE_S = 1.0  # for so long ranks that disagree wait for the calls of those that are on the way


def deadlock(before: Sequence[Status], now: Sequence[Status], quiet: Sequence[bool]) -> LabError | None:
    """The deadlock or mismatch that two looks at the board show, if they show one.

    Ranks asleep in both looks, unchanged, with inboxes that were empty in between (``quiet``), of which each
    waits for others of them or for ranks that have returned: none will act again, whatever the rest still
    computes.
    """
    same = [a.version == b.version for a, b in zip(before, now, strict=True)]
    returned = {s.rank for s in before if s.state == RETURNED}
    stuck = {s.rank: s for s in now if s.state == BLOCKED and quiet[s.rank] and same[s.rank]}
    everyone = len(stuck) + len(returned) == len(now)
    if calls := _different_calls(stuck):
        late = {need for rank in calls for need in stuck[rank].wait.needs} - calls.keys()
        newest = max(stuck[rank].since for rank in calls)
        told = everyone or time.monotonic() - newest > _LATE_S
        nth = next(stuck[rank].wait.nth for rank in calls)
        return mismatch_error(calls, sorted(late), nth) if told else None
    vain = stuck if everyone else _in_vain(stuck, returned, now)
    waits = [status.wait for status in vain.values()]
    return deadlock_error(waits, returned, everyone) if waits else None


def _different_calls(stuck: Mapping[int, Status]) -> dict[int, str]:
    """The calls, by rank, of those who wait in one collective and disagree on it; none where all agree."""
    calls: dict[tuple[int, int], dict[int, str]] = defaultdict(dict)
    for rank, status in stuck.items():
        if status.place:
            calls[status.place][rank] = status.wait.call
    return next((told for told in calls.values() if len(set(told.values())) > 1), {})


def _in_vain(
    stuck: Mapping[int, Status], returned: Collection[int], now: Sequence[Status]
) -> dict[int, Status]:
    """Those of ``stuck`` who wait for each other or for ranks that have ``returned``, and can't but wait."""
    left = dict(stuck)
    places = {status.place for status in left.values()}
    if len(places) == 1 and None not in places and not returned:
        return {}  # as mostly: all of them wait for somebody who is on the way to their collective
    while able := [rank for rank, status in left.items() if not _needs_one_of(status, left, returned, now)]:
        for rank in able:
            del left[rank]
    return left


def _needs_one_of(
    status: Status, left: Mapping[int, Status], returned: Collection[int], now: Sequence[Status]
) -> bool:
    """Whether a wait can't end while those who are ``left`` don't act; who is in the same collective has.

    Who waits for a leader's word doesn't hear who has come: some may have, had that word, and gone on.
    """
    if status.leader is not None:
        gone = left.keys() | set(returned)
        absent = (rank for rank in status.wait.needs if rank in gone and not _has_come(now[rank], status))
        return status.leader in gone or any(absent)
    met = {rank for rank, other in left.items() if other.place and other.place == status.place}
    return hopeless(status.wait, (left.keys() - met) | set(returned))


def _has_come(other: Status, status: Status) -> bool:
    """Whether ``other`` has entered the collective that ``status`` waits in, or may have.

    The board tells the last collective only: whoever has entered one of another group since may have.
    """
    key, number = other.entered
    return number > 0 and (status.place is None or key != status.place[0] or number >= status.place[1])


def slow_report(seen: Sequence[Status], quiet: Sequence[bool], pids: Sequence[int], limit_s: float) -> str:
    """What each rank does when the time is over, and for whom the others wait: that one comes first.

    ``quiet``: by rank, whether its inbox is empty; one that was called and sleeps on does not respond.
    """
    words = {s.rank: doing(s) for s in seen}
    deaf = {s.rank for s in seen if s.state == BLOCKED and not quiet[s.rank]}
    words |= {rank: f"{words[rank]}, was called and does not respond" for rank in deaf}
    stopped = {rank for rank, pid in enumerate(pids) if _is_stopped(pid)}
    words |= {rank: f"is stopped (SIGSTOP): it {words[rank]}" for rank in stopped}
    busy = stopped or deaf | {s.rank for s in seen if not _waits(s) and s.state != RETURNED}
    lines = [f"  rank {rank} {words[rank]}" for rank in sorted(words, key=lambda r: (r not in busy, r))]
    report = [f"not finished after timeout_s={limit_s:g}:", *shortened(lines)]
    if len(busy) == 1 and any(_waits(s) for s in seen if s.rank not in busy):
        report.append(f"  The others wait for rank {min(busy)}.")
    return "\n".join(report)


def _waits(status: Status) -> bool:
    """Whether a rank sleeps until others act."""
    return status.state == BLOCKED or (status.state == STARTING and bool(status.wait.call))


def _is_stopped(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def death_error(rank: int, code: int, plan: Plan, at_s: float) -> WorkerError:
    """The error of a rank whose process died at ``at_s``, perhaps because its cluster has it so."""
    fails_s = plan.began_s + plan.cluster.fails_s(rank) if plan.cluster else NEVER_S
    if code == -signal.SIGKILL and fails_s <= at_s and plan.cluster:
        return failed_error(rank, fails_s, plan.cluster.failing(rank))
    return WorkerError(f"rank {rank} {death(code)}", rank, at_s=at_s, killed=code < 0)


def death(code: int) -> str:
    """How a process that said nothing ended."""
    if code == UNHEARD:
        return "ended and could not tell why (no memory left? its files closed?): what it printed last may."
    if code >= 0:
        return f"ended its process with exit code {code}: a worker returns, it does not call os._exit."
    name = signal.Signals(-code).name
    hint = {
        "SIGKILL": " (by hand, or because the machine ran out of memory)",
        "SIGABRT": " (a library gave up: what it printed last says why; ulimit -u counts threads)",
        "SIGSEGV": " (it used memory that is not its own)",
        "SIGBUS": " (shared memory or a mapped file ran out of room)",
    }.get(name, "")
    return f"was killed by {name}{hint}."
