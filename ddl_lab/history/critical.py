"""The critical path of a run: the spans that bound it, walked back from its last end.

At each moment exactly one rank is on the path. A collective leads to the rank that entered it last; a
message to its sender, or to its receiver if that came too late for it; everything else to what the same
rank did before. So the parts join end to end, from 0 to the end of the run. (Critical paths of message
passing programs: Yang and Miller 1988.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .recorder import KINDS
from .spans import COMPUTE, FIRST_COLLECTIVE, RECV, WAIT, Array, Spans

if TYPE_CHECKING:
    import pandas as pd

OTHER = len(KINDS)  # the kind of time outside all spans
WORK = ("compute", "communicate", "wait", "other")
WORK_OF_KIND = np.array([{COMPUTE: 0, WAIT: 2, OTHER: 3}.get(kind, 1) for kind in range(OTHER + 1)])


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the path; ``span`` -1 is time outside all spans."""

    span: int
    rank: int
    start_s: float
    end_s: float


class _Walk:
    """The way back through the spans of a run."""

    def __init__(self, spans: Spans, clock: str) -> None:
        self.spans, self.clock = spans, clock
        self.parts: list[Part] = []
        self._hopped: set[int] = set()  # ranks that the path has gone through at this very moment
        self._meeting = spans.meetings
        self._last = spans.last_entries(self._meeting)
        self._pair: dict[int, tuple[int, int]] = {}
        for send, recv in zip(*(column.tolist() for column in spans.pairs), strict=True):
            self._pair[send] = self._pair[recv] = (send, recv)
        main = np.flatnonzero(spans.main)
        main = main[np.lexsort((spans.start_s[main], spans.rank[main]))]
        edges = np.searchsorted(spans.rank[main], np.arange(1, spans.nodes))
        self._main = np.split(main, edges)
        self._starts = [spans.start_s[part] for part in self._main]

    def back(self, rank: int, time_s: float) -> list[Part]:
        """The path that ends on ``rank`` at ``time_s``, earliest part first."""
        while time_s > 0:
            span = self._before(rank, time_s)
            end_s = float(self.spans.end_s[span]) if span >= 0 else 0.0
            if end_s < time_s:  # nothing was recorded in between
                there = rank, self._add(-1, rank, end_s, time_s)
            else:
                there = self._step(span, rank, time_s)
            self._hopped = {*self._hopped, rank} if there[1] == time_s else set()
            rank, time_s = there
        return self.parts[::-1]

    def _before(self, rank: int, time_s: float) -> int:
        """The last main span of ``rank`` that began before ``time_s``, or -1."""
        place = int(np.searchsorted(self._starts[rank], time_s)) - 1
        return int(self._main[rank][place]) if place >= 0 else -1

    def _add(self, span: int, rank: int, start_s: float, end_s: float) -> float:
        """Put a part on the path, if it has a length; returns where the path goes on."""
        if start_s < end_s:
            self.parts.append(Part(span, rank, start_s, end_s))
            return start_s
        return end_s

    def _step(self, span: int, rank: int, time_s: float) -> tuple[int, float]:
        """Explain the time of ``rank`` before ``time_s``, which lies in ``span``."""
        spans = self.spans
        cause = int(spans.cause[span]) if spans.kind[span] == WAIT else span
        if cause in self._pair:
            there = self._message(span, rank, time_s, *self._pair[cause])
        elif cause >= 0 and cause != span and spans.kind[cause] >= FIRST_COLLECTIVE:
            begins = float(spans.start_s[cause])
            if begins < time_s == spans.end_s[cause]:  # of a handle: the node had gone on, or waits for it
                time_s = self._add(cause, rank, begins, time_s)
            there = int(spans.rank[self._last[self._meeting[cause]]]), time_s
        else:
            there = rank, time_s
        stands_still = there[1] == time_s and (there[0] == rank or there[0] in self._hopped)
        return (rank, self._add(span, rank, float(spans.start_s[span]), time_s)) if stands_still else there

    def _message(self, span: int, rank: int, time_s: float, send: int, recv: int) -> tuple[int, float]:
        """Where a message leads that ``rank`` sent or received in ``span``."""
        spans = self.spans
        sent, wanted = float(spans.called_s[send]), float(spans.called_s[recv])
        start_s, taken = float(spans.start_s[recv]), min(float(spans.end_s[recv]), time_s)
        receiver = int(spans.rank[recv])
        time_s = self._add(span, rank, taken, time_s)
        if self._late(sent, recv, wanted, taken):
            return receiver, self._add(recv, receiver, wanted, time_s)
        if self.clock == "virtual" and span == recv and self._queued(recv):
            return receiver, self._add(recv, receiver, start_s, time_s)
        if spans.main[recv]:
            time_s = self._add(recv, receiver, max(start_s, sent), time_s)
        sender = int(spans.rank[send])
        return sender, self._add(send, sender, sent, time_s)

    def _late(self, sent: float, recv: int, wanted: float, taken: float) -> bool:
        """Whether a message was there before its receiver."""
        if self.clock == "virtual":
            return wanted >= taken
        if self.clock == "paced":  # it travels by itself too, but nobody wakes up to the nanosecond
            blocking = self.spans.main[recv] or self.spans.start_s[recv] == self.spans.end_s[recv]
            return bool(blocking and self.spans.before[recv] < 0)
        return wanted > sent  # it moves once both are there

    def _queued(self, recv: int) -> bool:
        """Whether the receiver's link carried another message until this one's turn came."""
        spans, start_s = self.spans, float(self.spans.start_s[recv])
        earlier = self._before(int(spans.rank[recv]), start_s)
        chained = earlier >= 0 and spans.kind[earlier] == RECV and spans.end_s[earlier] == start_s
        return bool(chained and spans.called_s[recv] == start_s)


def critical_parts(spans: Spans, clock: str, finished_s: Mapping[int, float], elapsed_s: float) -> list[Part]:
    """The parts of the path, from 0 to ``elapsed_s``."""
    if not spans.nodes:
        return []
    ends = np.zeros(spans.nodes)
    np.maximum.at(ends, spans.rank, spans.end_s)
    for rank, end_s in finished_s.items():
        ends[rank] = max(ends[rank], end_s)
    return _Walk(spans, clock).back(int(ends.argmax()), elapsed_s)


def path_table(spans: Spans, parts: list[Part]) -> pd.DataFrame:
    """The parts as a table with the columns of ``history.spans``; "other" is time outside all spans."""
    import pandas as pd

    at = np.array([part.span for part in parts], dtype=np.int64)
    columns: dict[str, Any] = {"rank": np.array([part.rank for part in parts], dtype=np.int64)}
    columns["kind"] = np.array([*KINDS, "other"], dtype=object)[_kinds(spans, parts)]
    columns["start_s"] = np.array([part.start_s for part in parts], dtype=float)
    columns["end_s"] = np.array([part.end_s for part in parts], dtype=float)
    for name, none in (("peer", -1), ("bytes", 0), ("label", "")):
        column = getattr(spans, name)
        columns[name] = np.append(column, np.array([none], dtype=column.dtype))[at]
    return pd.DataFrame(columns)


def share_table(spans: Spans, parts: list[Part], elapsed_s: float) -> pd.DataFrame:
    """The shares of ``elapsed_s``, by rank and along the path; each row adds up to 1."""
    import pandas as pd

    seconds = np.zeros((spans.nodes + 1, len(WORK)))
    main = np.flatnonzero(spans.main)
    lengths = spans.end_s[main] - spans.start_s[main]
    np.add.at(seconds, (spans.rank[main], WORK_OF_KIND[spans.kind[main]]), lengths)
    for part, work in zip(parts, WORK_OF_KIND[_kinds(spans, parts)], strict=True):
        seconds[-1, work] += part.end_s - part.start_s
    seconds[:-1, 3] = elapsed_s - seconds[:-1].sum(axis=1)
    rows = [*range(spans.nodes), "critical path"]
    shares = np.divide(seconds, elapsed_s, out=np.zeros_like(seconds), where=elapsed_s > 0)
    return pd.DataFrame(np.maximum(shares, 0.0), pd.Index(rows, name="rank"), list(WORK))


def work_of(spans: Spans, parts: list[Part]) -> tuple[Array, Array, Array, Array]:
    """Rank, start, end and kind of work (as in WORK) of every part, (p,) each: for figures."""
    columns = [[p.rank for p in parts], [p.start_s for p in parts], [p.end_s for p in parts]]
    rank, start_s, end_s = (np.array(column) for column in columns)
    return rank, start_s, end_s, WORK_OF_KIND[_kinds(spans, parts)]


def _kinds(spans: Spans, parts: list[Part]) -> Array:
    """By part: its kind as in KINDS, or OTHER."""
    return np.append(spans.kind, OTHER)[np.array([part.span for part in parts], dtype=np.int64)]
