"""Going through a schedule without carrying it out: who computes what when, and who waits forever."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..history.history import History
from .schedules import Schedule, ScheduleError, Step

Message = tuple[str, int, int]  # "x" or "g", the stage that it is for, micro-batch
Between = float | Callable[[int, int], float]  # seconds of a message, or of one from a rank to another
COMPUTING = ("forward", "backward", "input", "weights")


class Span(NamedTuple):
    """A forward or backward, or a part of one, and when."""

    rank: int
    kind: str
    stage: int
    micro: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Played:
    """What ``play`` or ``measured`` found: when each node computes what.

    ``late_s``: of a paced run, the most by which a forward or backward lasted longer or shorter than it
    is charged. A process that the machine holds up begins late and catches up by 10 ms at most, ends
    late, or both: below 10 ms, none has lost time.
    """

    nodes: int
    spans: tuple[Span, ...]
    late_s: float = 0.0

    @property
    def elapsed_s(self) -> float:
        """Seconds until the last backward has ended."""
        return max((span.end_s for span in self.spans), default=0.0)

    @property
    def busy_s(self) -> list[float]:
        """Seconds of computing, by node."""
        return [sum(s.end_s - s.start_s for s in self.spans if s.rank == r) for r in range(self.nodes)]

    @property
    def bubble(self) -> float:
        """The share of all nodes' time, from the start to the last end, in which they don't compute."""
        whole = self.nodes * self.elapsed_s
        return 1 - sum(self.busy_s) / whole if whole else 0.0


def play(
    schedule: Schedule,
    forward_s: float | Sequence[float] = 1.0,
    backward_s: float | Sequence[float] = 2.0,
    message_s: Between = 0.0,
) -> Played:
    """Go through ``schedule`` on a clock of its own: no tensors, no nodes.

    ``forward_s``, ``backward_s``: seconds a micro-batch, one number or one a stage; of a backward in two
    parts, each takes half. ``message_s``: seconds, or a function of the two ranks. Raises ``ValueError``
    for too few numbers, ``ScheduleError`` where nodes wait for each other forever, a step needs what isn't
    there yet, a forward comes twice or has no backward, or a message is never received.
    """
    half = [s / 2 for s in backward_s] if isinstance(backward_s, Sequence) else backward_s / 2
    seconds = {"forward": forward_s, "backward": backward_s, "input": half, "weights": half}
    return Player(schedule, seconds, message_s).play()


def check(schedule: Schedule) -> None:
    """Raise ``ScheduleError`` unless ``schedule`` can be carried out to its end."""
    play(schedule)


_NAMES = {
    "x": "its input",
    "g": "the gradient by its output",
    "kept": "its forward",
    "half": "its backward by the input",
}
_LEFT = {  # what must not be there at the end
    "kept": "forward with micro-batch {} on stage {} and never backward",
    "half": "backward by the input of micro-batch {} on stage {} and never by the weights",
}


class Player:
    """The state of all nodes on their way through a schedule: their clocks, places, and what each has."""

    def __init__(
        self, schedule: Schedule, seconds: Mapping[str, float | Sequence[float]], message_s: Between
    ) -> None:
        self.schedule, self.seconds, self.message_s = schedule, seconds, message_s
        self.clock = [0.0] * len(schedule)
        self.place = [0] * len(schedule)
        self.has: list[set[Message]] = [set() for _ in schedule]  # by node
        self.under_way: dict[tuple[int, Message], float] = {}  # by receiver: when it arrives
        self.spans: list[Span] = []
        self.last = max((step.stage for steps in schedule for step in steps), default=0)
        for kind, told in seconds.items():
            if isinstance(told, Sequence) and len(told) <= self.last:
                raise ValueError(
                    f"{kind}_s has {len(told)} numbers for {self.last + 1} stages: give one a stage"
                )
        for rank, steps in enumerate(schedule):
            for step in steps:
                if step.what and (step.peer == rank or not 0 <= step.peer < len(schedule)):
                    raise ScheduleError(f"node {rank}: {step}: there is no such other node")

    def play(self) -> Played:
        """Let every node go on as far as it can, until all are done or none can."""
        moved = True
        while moved:
            moved = False
            for rank in range(len(self.schedule)):
                while (step := self._next(rank)) is not None and self._do(rank, step):
                    moved = True
        self._check_end()
        return Played(len(self.schedule), tuple(sorted(self.spans, key=lambda s: (s.rank, s.start_s))))

    def _next(self, rank: int) -> Step | None:
        steps, place = self.schedule[rank], self.place[rank]
        return steps[place] if place < len(steps) else None

    def _do(self, rank: int, step: Step) -> bool:
        """Carry out a node's next step; False where it must wait."""
        if step.kind in COMPUTING:
            self._compute(rank, step)
        elif step.kind == "isend":
            message = self._taken(rank, step)
            self.under_way[step.peer, message] = self.clock[rank] + self._between_s(rank, step.peer)
        elif step.kind == "recv":
            return self._receive(rank, step)
        elif step.kind != "send":
            raise ScheduleError(f"node {rank}: a step can't be a {step.kind!r}")
        else:
            return False  # the receiver sees to it
        self.place[rank] += 1
        return True

    def _compute(self, rank: int, step: Step) -> None:
        s, k, has = step.stage, step.micro, self.has[rank]
        needs, makes = self._needs_and_makes(step)
        for need in needs:
            if need not in has:
                raise ScheduleError(
                    f"node {rank} comes to {step} on stage {s} without {_NAMES[need[0]]}: {need[0]}"
                )
        if step.kind == "forward" and ("kept", s, k) in has:
            raise ScheduleError(f"node {rank} comes to {step} on stage {s} a second time")
        has.difference_update(needs)
        has |= set(makes)
        told = self.seconds[step.kind]
        start, lasts = self.clock[rank], told[s] if isinstance(told, Sequence) else told
        self.clock[rank] = start + lasts
        self.spans.append(Span(rank, step.kind, s, k, start, start + lasts))

    def _needs_and_makes(self, step: Step) -> tuple[list[Message], list[Message]]:
        """What a step uses up, and what there is after it."""
        s, k = step.stage, step.micro
        back = [("kept", s, k), *[("g", s, k)] * (s < self.last)]
        return {
            "forward": ([("x", s, k)] * (s > 0), [("kept", s, k), ("x", s + 1, k)]),
            "backward": (back, [("g", s - 1, k)]),
            "input": (back, [("g", s - 1, k), ("half", s, k)]),
            "weights": ([("half", s, k)], []),
        }[step.kind]

    def _between_s(self, rank: int, peer: int) -> float:
        return self.message_s(rank, peer) if callable(self.message_s) else self.message_s

    def _taken(self, rank: int, step: Step) -> Message:
        """What a send takes from its node."""
        message = (step.what, step.stage, step.micro)
        if message not in self.has[rank]:
            raise ScheduleError(f"node {rank} comes to {step} before it has made that")
        self.has[rank].remove(message)
        return message

    def _receive(self, rank: int, step: Step) -> bool:
        message = (step.what, step.stage, step.micro)
        arrives = self.under_way.pop((rank, message), None)
        if arrives is None:
            sending = self._next(step.peer)
            if sending is None or sending[:5] != ("send", *step[1:4], rank):
                return False
            self._taken(step.peer, sending)
            arrives = max(self.clock[rank], self.clock[step.peer]) + self._between_s(step.peer, rank)
            self.clock[step.peer] = arrives
            self.place[step.peer] += 1
        self.clock[rank] = max(self.clock[rank], arrives)
        self.has[rank].add(message)
        self.place[rank] += 1
        return True

    def _check_end(self) -> None:
        """Refuse a schedule in which somebody stands still, or a message is left over."""
        stuck = [(rank, step) for rank in range(len(self.schedule)) if (step := self._next(rank)) is not None]
        if stuck:
            lines = ["this schedule never ends:", *(f"  {self._wait(*wait)}" for wait in stuck)]
            if all(self._next(step.peer) for _, step in stuck):
                waits = any(step.kind == "send" for _, step in stuck)
                mend = "let sends not wait (isend), or change the order" if waits else "change the order"
                lines.append(f"  Each waits for another of them: {mend}.")
            raise ScheduleError("\n".join(lines))
        for receiver, (what, stage, micro) in self.under_way:
            raise ScheduleError(f"node {receiver} never receives {what} of {micro} for stage {stage}")
        for rank, has in enumerate(self.has):
            for what, s, k in sorted(message for message in has if message[0] in _LEFT):
                raise ScheduleError(f"node {rank} goes {_LEFT[what].format(k, s)}")

    def _wait(self, rank: int, step: Step) -> str:
        there = self._next(step.peer)
        at = f"stands at step {self.place[step.peer]}, {there}" if there else "is done"
        return f"node {rank}, step {self.place[rank]}: {step} waits, but node {step.peer} {at}"


def measured(
    history: History, schedule: Schedule, round: int = -1, seconds: Mapping[str, float] | None = None
) -> Played:
    """What a run that repeated ``schedule`` did in one round, on its own clock; the last one unless told.

    Times count from the begin of the round's first forward. ``seconds``: what a forward and a backward are
    charged; then a span begins that long before its end, as a paced process may wake up late for a span and
    still ends it in time, and ``late_s`` tells how late. Raises ``ValueError`` where the run's compute spans
    are not those of whole rounds.
    """
    spans = history.spans[history.spans["kind"] == "compute"]
    found, late_s = [], 0.0
    for rank, steps in enumerate(schedule):
        work = [step for step in steps if not step.what]
        rows = spans[spans["rank"] == rank][["start_s", "end_s"]].to_numpy()
        if not len(rows) or len(rows) % len(work):
            raise ValueError(f"node {rank} has {len(rows)} compute spans, and the schedule {len(work)}")
        for step, (start, end) in zip(work, rows.reshape(-1, len(work), 2)[round], strict=True):
            begins = end - seconds[step.kind] if seconds else start
            late_s = max(late_s, abs(float(begins - start)))
            found.append(Span(rank, *step[:3], float(begins), float(end)))
    first = min(span.start_s for span in found)
    moved = (span._replace(start_s=span.start_s - first, end_s=span.end_s - first) for span in found)
    return Played(len(schedule), tuple(moved), late_s)
