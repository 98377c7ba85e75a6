"""Schedules of pipelines as data: by node, a list of steps; checked and timed before anything runs.

An *order* says which forwards and backwards a stage computes, one after another, as pairs ("forward" or
"backward", micro-batch); a backward may also come in two, "input" and then "weights". ``by_stage`` lays one
order a node side by side, ``with_messages`` adds what must be sent and received in between;
``playing.play`` goes through it on a clock, and refuses what can't end.

====================  =================================  ===========================================
order                 bubble / time of the work          micro-batches in flight on stage s of p
====================  =================================  ===========================================
``gpipe``             (p - 1) / m                        m
``one_f_one_b``       (p - 1) / m                        min(p - s, m)
``interleaved``       (p - 1) / (v m)                    more: up to p (v + 1) - 1 pieces on node 0
``zero_bubble``       (p - 1) / 3m, of three equal kinds  min(p, m), until their weights' part is done
====================  =================================  ===========================================

for p equal stages, m micro-batches, v stages a node, where messages take no time. Of the total time the
first two lose (p - 1) / (m + p - 1). Sources: Huang et al. 2019 (GPipe); Narayanan et al. 2021 (1F1B,
interleaved); Qi et al. 2024 (zero bubble, the form that keeps no more than 1F1B: ZB-H1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..errors import LabError

Pair = tuple[str, int]  # "forward", "backward", "input" or "weights", micro-batch


class Step(NamedTuple):
    """One thing that a node does: ``Step("forward", stage, micro)``, or a message with ``what`` and ``peer``.

    A message belongs to the stage that it is for: "x" is that stage's input (activations), "g" is the
    gradient of the loss by its output. ``peer`` is the rank at the other end.
    """

    kind: str  # as in a Pair; "recv", "send" (waits until it is received), "isend" (doesn't)
    stage: int
    micro: int
    what: str = ""
    peer: int = -1

    @property
    def tag(self) -> int:
        """A number that no other message between two ranks has."""
        return 2 * (1024 * self.micro + self.stage) + (self.what == "g")

    def __str__(self) -> str:
        if not self.what:
            return f"{self.kind}({self.micro})"
        toward = "from" if self.kind == "recv" else "to"
        return f"{self.kind}({self.what} of {self.micro} {toward} node {self.peer})"


Schedule = Sequence[Sequence[Step]]  # by node


class ScheduleError(LabError, ValueError):
    """A schedule that can't be carried out; the message names stages and steps."""


# orders


def gpipe(stage: int, stages: int, micros: int) -> list[Pair]:
    """All forwards, then all backwards. Huang et al. 2019."""
    return [(kind, k) for kind in ("forward", "backward") for k in range(micros)]


def one_f_one_b(stage: int, stages: int, micros: int) -> list[Pair]:
    """1. Warm up: a forward for each later stage; 2. one forward, one backward; 3. the backwards left.

    Narayanan et al. 2021 ("1F1B").
    """
    ahead = min(stages - 1 - stage, micros)
    order = [("forward", k) for k in range(ahead)]  # 1.
    for k in range(micros - ahead):
        order += [("forward", ahead + k), ("backward", k)]  # 2.
    return order + [("backward", k) for k in range(micros - ahead, micros)]  # 3.


def zero_bubble(stage: int, stages: int, micros: int) -> list[Pair]:
    """1F1B, its backwards in two: by the input at once, by the weights ``stage`` micro-batches later.

    The stage before waits for the first part only; the second fills what was idle. Qi et al. 2024 (ZB-H1).
    """
    ahead = min(stages - 1 - stage, micros)
    order = [("forward", k) for k in range(ahead)]
    for k in range(micros):
        order += [("forward", ahead + k)] * (ahead + k < micros) + [("input", k)]
        order += [("weights", k - stage)] * (k >= stage)
    return order + [("weights", k) for k in range(max(micros - stage, 0), micros)]


def by_stage(order: Callable[[int, int, int], Sequence[Pair]], stages: int, micros: int) -> list[list[Step]]:
    """An order on every node, stage s on node s. Raises ``ValueError`` for counts below 1."""
    _check_counts(stages=stages, micros=micros)
    return [[Step(kind, s, k) for kind, k in order(s, stages, micros)] for s in range(stages)]


def interleaved(nodes: int, micros: int, chunks: int) -> list[list[Step]]:
    """1F1B with ``chunks`` stages a node: node r has stages r, r + nodes, r + 2 nodes, …

    Micro-batches go through in groups of ``nodes``: a group visits all stages before the next one
    enters. Narayanan et al. 2021. Raises ``ValueError`` where ``micros`` is no multiple of ``nodes``.
    """
    _check_counts(nodes=nodes, micros=micros, chunks=chunks)
    if chunks == 1:
        return by_stage(one_f_one_b, nodes, micros)
    if micros % nodes:
        raise ValueError(
            f"interleaved stages take micro-batches in groups of as many as there are nodes: {micros} is "
            f"no multiple of {nodes}; try {micros - micros % nodes + nodes}"
        )
    return [list(_interleaved(rank, nodes, micros, chunks)) for rank in range(nodes)]


def _interleaved(rank: int, nodes: int, micros: int, chunks: int) -> Iterator[Step]:
    total, group = micros * chunks, nodes * chunks
    ahead = total if micros == nodes else min(2 * (nodes - 1 - rank) + (chunks - 1) * nodes, total)

    def at(kind: str, number: int) -> Step:
        chunk = number % group // nodes
        chunk = chunk if kind == "forward" else chunks - 1 - chunk
        return Step(kind, rank + chunk * nodes, number // group * nodes + number % nodes)

    for number in range(ahead):
        yield at("forward", number)
    for number in range(total - ahead):
        yield at("forward", ahead + number)
        yield at("backward", number)
    for number in range(total - ahead, total):
        yield at("backward", number)


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if type(count) is not int or count < 1:
            raise ValueError(f"{name} = {count!r}: a schedule takes whole numbers from 1 up")


# messages


def with_messages(orders: Schedule, send: str = "isend") -> list[list[Step]]:
    """Receive before each forward and backward what it needs, send after it what it made.

    A backward by the weights needs no message and makes none.

    ``send``: "isend" begins to send and goes on; "send" stands there until the message is received.
    """
    home = {step.stage: rank for rank, steps in enumerate(orders) for step in steps}

    def around(rank: int, step: Step) -> Iterator[Step]:
        if step.kind == "weights":
            yield step
            return
        ahead = 1 if step.kind == "forward" else -1
        what = "x" if step.kind == "forward" else "g"
        before, after = step.stage - ahead, step.stage + ahead
        if home.get(before, rank) != rank:
            yield Step("recv", step.stage, step.micro, what, home[before])
        yield step
        if home.get(after, rank) != rank:
            yield Step(send, after, step.micro, what, home[after])

    return [[made for step in steps for made in around(rank, step)] for rank, steps in enumerate(orders)]


def in_flight(steps: Sequence[Step], weight: Callable[[int], float] = lambda stage: 1) -> float:
    """The most micro-batches that a node has been forward with and not yet wholly backward.

    ``weight``: what one counts for, by its stage: bytes, say.
    """
    most = now = 0.0
    for step in steps:
        now += {"forward": 1, "backward": -1, "weights": -1}.get(step.kind, 0) * weight(step.stage)
        most = max(most, now)
    return most
