"""The errors a learner meets, the same in both engines, and how they read.

A traceback shows the learner's own lines (notebook cells included) and names the rank; frames of this
package and of the libraries below it are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .travel.frames import Frame, learner_frames, show_frame

if TYPE_CHECKING:
    from .history.history import History

MOST_LINES = 8  # of a report with a line a rank


class LabError(Exception):
    """What ended a run. ``history`` holds what was recorded until then."""

    history: History | None = None

    def _render_traceback_(self) -> list[str]:
        """Notebooks show the message alone: the frames in between are this package's."""
        return [f"{type(self).__name__}: {self}"]


class WorkerError(LabError):
    """A worker raised, or its process was killed. ``rank`` says whose; ``cause_type`` names the error.

    ``at_s``: when, on the run's clock, which is where ``history`` ends. ``killed``: by a signal, or because
    the cluster has it so; a worker that raised was not.
    """

    def __init__(
        self, message: str, rank: int = -1, cause_type: str = "", at_s: float = 0.0, killed: bool = False
    ) -> None:
        super().__init__(message)
        self.rank = rank
        self.cause_type = cause_type
        self.at_s = at_s
        self.killed = killed


class DeadlockError(LabError):
    """Every node waits for another that will never act; the message says per rank for what."""


class CollectiveMismatch(LabError):
    """The ranks of a group entered different collectives; the message names each rank's call."""


class LostPeer(LabError):
    """A connection between two ranks broke: one of them has ended. Its death is the cause to tell."""


class StoppedRun(LabError):
    """The run was stopped: by ``Run.stop()`` or because ``timeout_s`` passed."""


@dataclass(frozen=True)
class Failure:
    """An exception as it travels from a node to the caller: no live objects, only words."""

    type_name: str
    message: str
    frames: tuple[Frame, ...] = ()
    notes: tuple[str, ...] = ()
    kind: str = "error"  # or what the node itself diagnosed: "mismatch", "lost" (its peer is gone)
    causes: tuple[str, ...] = ()


def told_by(error: object) -> str:
    """What ``error`` says, also where its ``__str__`` raises."""
    try:
        return str(error)
    except Exception as broken:
        return f"(its __str__ raised {type(broken).__name__})"


def failure_of(error: BaseException) -> Failure:
    """Describe ``error`` so that the caller can show it; a node's own diagnosis keeps its kind."""
    kinds = {CollectiveMismatch: "mismatch", LostPeer: "lost"}
    kind = kinds.get(type(error), "error")  # type: ignore[arg-type]
    causes: list[str] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    ours = type(error).__module__.startswith("ddl_lab")  # then the message says all
    while cause is not None and len(causes) < 3 and not ours:
        causes.append(f"{type(cause).__name__}: {told_by(cause)}")
        cause = cause.__cause__
    notes = (*map(told_by, getattr(error, "__notes__", ())), *_mend(error))
    frames = learner_frames(error.__traceback__)
    return Failure(type(error).__name__, told_by(error), frames, notes, kind, tuple(causes))


def wants_threads(error: BaseException) -> bool:
    """Whether the system gave Python or gloo no thread."""
    return told_by(error).startswith(("can't start new thread", "Resource temporarily unavailable"))


def _mend(error: BaseException) -> Iterable[str]:
    """What to try where Python or gloo could start no thread, of which they say no more."""
    if type(error) is RuntimeError and wants_threads(error):
        yield (
            "the limit on this user's processes (ulimit -u) counts threads: raise it, or try fewer nodes, or "
            "transport='shm', which starts fewer than gloo."
        )


def worker_error(rank: int, failure: Failure, at_s: float = 0.0) -> LabError:
    """The error the caller raises for a node's ``failure`` at ``at_s``: rank and cause, then the lines."""
    if failure.kind == "mismatch":
        return CollectiveMismatch(failure.message)
    lines = [f"rank {rank} raised {failure.type_name}: {failure.message}".rstrip(": ")]
    for frame in failure.frames:
        lines += show_frame(frame)
    lines += [f"  note: {note}" for note in failure.notes]
    lines += [f"  while handling {cause}" for cause in failure.causes]
    return WorkerError("\n".join(lines), rank, failure.type_name, at_s)


def failed_error(rank: int, at_s: float, why: str) -> WorkerError:
    """A node died at ``at_s`` because its cluster says so, ``why``; a paced run ends its process."""
    said = f"rank {rank} was killed by SIGKILL, as the cluster has it: {why}."
    return WorkerError(said, rank, at_s=at_s, killed=True)


@dataclass(frozen=True)
class Wait:
    """What one blocked node waits for, told by either engine."""

    rank: int
    call: str  # "recv(src=1, tag=0)"
    needs: tuple[int, ...]  # the ranks that could end the wait
    any_of_them: bool = False  # True: one of them is enough (recv from any source)
    nth: int = 0  # of a collective: that it is the group's first, second, …

    def told(self) -> str:
        """The call, and which collective of the group it is."""
        return f"{self.call} (its {ordinal(self.nth)} collective)" if self.nth else self.call


def hopeless(wait: Wait, returned: Iterable[int]) -> bool:
    """Whether ``wait`` can never end because ranks it needs have returned."""
    gone = set(returned)
    missing = [r in gone for r in wait.needs]
    return bool(missing) and (all(missing) if wait.any_of_them else any(missing))


def deadlock_error(waits: Sequence[Wait], returned: Iterable[int], everyone: bool = True) -> DeadlockError:
    """Say per rank what it waits for, and who has already returned; those that wait in vain come first.

    Not ``everyone``: others still compute, and won't help.
    """
    gone = sorted(returned)
    lines = ["no node can go on:" if everyone else f"{_ranks([w.rank for w in waits])} can never go on:"]
    told = []
    for wait in sorted(waits, key=lambda w: (not hopeless(w, gone), w.rank)):
        waited_for = [r for r in wait.needs if r in gone]
        why = f", but {_ranks(waited_for)} returned already" if waited_for else ""
        told.append(f"  rank {wait.rank} waits in {wait.told()}{why}")
    lines += shortened(told)
    if gone:
        lines.append(f"  returned: {_ranks(gone)}")
    lines.append(_advice(waits, gone))
    return DeadlockError("\n".join(lines))


def _advice(waits: Sequence[Wait], gone: Sequence[int]) -> str:
    sends = [w for w in waits if w.call.startswith("send")]
    if len(sends) > 1 and len(sends) == len(waits):
        return "  Every one of them sends first, and a send ends when it is received: let one receive first."
    if any(hopeless(wait, gone) for wait in waits):
        return "  Every rank must make the same number of matching calls: look at loops of unequal length."
    return "  Look for a call that one rank makes and its peer does not, or makes in another order or tag."


def shortened(lines: Sequence[str]) -> list[str]:
    """The first ``MOST_LINES`` of ``lines``, a line a rank, and how many more there are."""
    more = len(lines) - MOST_LINES
    return list(lines) if more <= 1 else [*lines[:MOST_LINES], f"  … and {more} more ranks"]


def _ranks(ranks: Sequence[int]) -> str:
    """``rank 2``, ``ranks 0, 1 and 3``; long lists are cut."""
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    shown = [str(r) for r in ranks[:12]]
    rest = f" and {len(ranks) - 12} more" if len(ranks) > 12 else f" and {shown.pop()}"
    return f"ranks {', '.join(shown)}{rest}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, …"""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


_AGREE = "  A collective must be entered by every rank with the same op, shape, dtype and {root}."


def mismatch_error(
    calls: dict[int, str], late: Sequence[int] = (), nth: int = 0, advice: str = _AGREE
) -> CollectiveMismatch:
    """Name each rank's call, equal ones together; who is ``late``; and that it is the ``nth`` of each."""
    by_call: dict[str, list[int]] = {}
    for rank, call in sorted(calls.items()):
        by_call.setdefault(call, []).append(rank)
    lines = shortened([f"  {_ranks(ranks)}: {call}" for call, ranks in by_call.items()])
    lines += [f"  {_ranks(late)}: not there yet"] if late else []
    which = f", the {ordinal(nth)} of each" if nth else ""
    advice = advice.format(root="dst" if any("(dst=" in call for call in by_call) else "src")
    return CollectiveMismatch("\n".join([f"the ranks disagree on a collective{which}:", *lines, advice]))
