"""All spans of a run side by side: which message is whose, who met whom, what lies beside other work.

A recorder keeps a rank's spans in the order in which they were recorded: the wait before a message or a
collective stands just before it, the wait to be taken just after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from .recorder import COLLECTIVES, KINDS, Recorder

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

COMPUTE, SEND, RECV, WAIT = (KINDS.index(kind) for kind in ("compute", "send", "recv", "wait"))
FIRST_COLLECTIVE = KINDS.index(COLLECTIVES[0])
_SAME_S = 1e-12  # spans that share less than this share nothing


@dataclass(frozen=True)
class Spans:
    """Every span of every rank, rank by rank in the order of recording; shape (k,) each."""

    nodes: int
    rank: Array
    kind: Array  # as in KINDS
    start_s: Array
    end_s: Array
    peer: Array  # rank in the run, -1: none
    bytes: Array
    label: Array  # text
    awaited: Array  # of a wait: the kind it waits for; -1 where the label names none
    group: Array  # of a collective: a number for its group, as the label names it, in its attempt
    attempt: Array  # 0, or which one of those that a run took to go on after failures

    @cached_property
    def before(self) -> Array:
        """By message or collective: its wait, just before it (also that of a handle), or -1."""
        rank, wait = self.rank[1:], slice(None, -1)
        fits = (self.kind[wait] == WAIT) & (self.awaited[wait] == self.kind[1:]) & (self.rank[wait] == rank)
        fits &= self.peer[wait] == self.peer[1:]
        fits &= (self.end_s[wait] == self.start_s[1:]) | (self.end_s[wait] == self.end_s[1:])
        found = np.full(len(self.rank), -1)
        found[1:][fits] = np.flatnonzero(fits)
        return found

    @cached_property
    def after(self) -> Array:
        """By send: the wait until it was taken, just after it, or -1."""
        wait = slice(1, None)
        fits = (self.kind[:-1] == SEND) & (self.kind[wait] == WAIT) & (self.awaited[wait] == SEND)
        fits &= (self.rank[wait] == self.rank[:-1]) & (self.peer[wait] == self.peer[:-1])
        fits &= self.start_s[wait] == self.end_s[:-1]
        found = np.full(len(self.rank), -1)
        found[:-1][fits] = np.flatnonzero(fits) + 1
        return found

    @cached_property
    def cause(self) -> Array:
        """By wait: the message or collective that it waits for, or -1."""
        found = np.full(len(self.rank), -1)
        for waits in (self.before, self.after):
            spans = np.flatnonzero(waits >= 0)
            found[waits[spans]] = spans
        return found

    @cached_property
    def called_s(self) -> Array:
        """By span: when its call was made, which is when its wait began, if it waited first."""
        called = self.start_s.copy()
        spans = np.flatnonzero(self.before >= 0)
        waits = self.before[spans]
        blocking = self.end_s[waits] == self.start_s[spans]
        called[spans[blocking]] = self.start_s[waits[blocking]]
        return called

    @cached_property
    def main(self) -> Array:
        """Which spans make up their rank's time one after another; the others lie beside these."""
        lasts, fixed = self.end_s > self.start_s, np.isin(self.kind, (COMPUTE, WAIT))
        found = lasts & fixed
        for part in _by_rank(self.rank, self.nodes):
            own, others = part[found[part]], part[(lasts & ~fixed)[part]]
            if len(others):
                found[_in_a_row(self, own, others)] = True
        return found

    @cached_property
    def pairs(self) -> tuple[Array, Array]:
        """The messages that were received: the spans of their sends, and of their receives, (m,) each."""
        sends, recvs = (np.flatnonzero(self.kind == kind) for kind in (SEND, RECV))
        taken = self.end_s.copy()
        waited = sends[self.after[sends] >= 0]
        taken[waited] = self.end_s[self.after[waited]]
        _, size = np.unique(self.bytes, return_inverse=True)
        sender, receiver = (np.where(self.kind == kind, self.rank, self.peer) for kind in (SEND, RECV))
        way = (self.attempt * self.nodes + sender) * self.nodes + receiver
        key = way.astype(np.int64) * (int(size.max(initial=0)) + 1) + size
        sends = sends[np.lexsort((taken[sends], key[sends]))]
        recvs = recvs[np.lexsort((taken[recvs], key[recvs]))]
        if len(sends) == len(recvs) and np.array_equal(key[sends], key[recvs]):
            return sends, recvs
        both = list(_in_order(sends, recvs, key, taken, self.start_s))
        pairs = np.array(both, dtype=np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    @cached_property
    def meetings(self) -> Array:
        """By span: the number of the collective that it is part of, or -1.

        The members of a group call its collectives in the same order, and begin them so, whenever they wait
        for them: the k-th of a rank in a group belongs to the k-th ones of the others. Numbers count in
        order of group and k.
        """
        found = np.full(len(self.rank), -1)
        spans = np.flatnonzero(self.kind >= FIRST_COLLECTIVE)
        group = self.group[spans]
        _, own = np.unique(np.stack([group, self.rank[spans]]), axis=1, return_inverse=True)
        order = np.lexsort((self.start_s[spans], own.ravel()))
        sizes = np.bincount(own.ravel())
        count = np.empty(len(spans), dtype=np.int64)
        count[order] = np.arange(len(spans)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        _, number = np.unique(np.stack([group, count]), axis=1, return_inverse=True)
        found[spans] = number.ravel()
        return found

    def last_entries(self, meetings: Array) -> Array:
        """By number of a meeting: the span of the rank that came last, of equals the lowest."""
        spans = np.flatnonzero(meetings >= 0)
        order = spans[np.lexsort((self.rank[spans], -self.called_s[spans], meetings[spans]))]
        _, first = np.unique(meetings[order], return_index=True)
        return order[first]


def spans_of(recorders: Sequence[Recorder]) -> Spans:
    """All that was recorded so far."""
    nodes, recorders = len(recorders), recorders or [Recorder()]  # of nobody: empty columns
    arrays = [recorder.span_array() for recorder in recorders]
    rows = np.concatenate(arrays)
    rank = np.repeat(np.arange(len(arrays)), [len(array) for array in arrays])
    labels, awaited, groups, attempts = [], [], [], []
    known: dict[str, int] = {}
    for recorder, array in zip(recorders, arrays, strict=True):
        words = list(recorder.labels)
        codes = [KINDS.index(word) if word in KINDS else -1 for word in words]
        labels.append(np.array(words, dtype=object)[array["label"]])
        awaited.append(np.array(codes)[array["label"]])
        named = [known.setdefault(group_of(word), len(known)) for word in words]
        groups.append(np.array(named)[array["label"]])
        attempts.append(np.searchsorted(recorder.failures_s, array["end_s"]))
    kind, start_s, end_s, peer, size = (rows[n] for n in ("kind", "start_s", "end_s", "peer", "bytes"))
    text, waits, group, attempt = map(np.concatenate, (labels, awaited, groups, attempts))
    group = attempt * len(known) + group
    return Spans(nodes, rank, kind, start_s, end_s, peer, size, text, waits, group, attempt)


def group_of(label: str) -> str:
    """The group that a collective's label names, "" for the whole run: "mean, ranks 0, 2" has "0, 2"."""
    return f", {label}".partition(", ranks ")[2]


def _by_rank(rank: Array, nodes: int) -> list[Array]:
    """The positions of each rank's spans."""
    return np.split(np.arange(len(rank)), np.searchsorted(rank, np.arange(1, nodes)))


def _in_a_row(spans: Spans, fixed: Array, messages: Array) -> list[int]:
    """Which messages and collectives of a rank overlap neither its ``fixed`` spans nor one another."""
    fixed = fixed[np.argsort(spans.start_s[fixed], kind="stable")]
    ends = np.concatenate([[-np.inf], np.maximum.accumulate(spans.end_s[fixed])])
    earlier = np.searchsorted(spans.start_s[fixed], spans.end_s[messages] - _SAME_S)
    free = messages[ends[earlier] <= spans.start_s[messages] + _SAME_S]
    kept, end_s = [], -np.inf
    free = free[np.argsort(spans.end_s[free], kind="stable")]
    for i, start_s, end in zip(free.tolist(), spans.start_s[free], spans.end_s[free], strict=True):
        if start_s >= end_s - _SAME_S:
            kept.append(i)
            end_s = end
    return kept


def _in_order(
    sends: Array, recvs: Array, key: Array, taken: Array, start_s: Array
) -> Iterator[tuple[int, int]]:
    """Pairs where some are missing: a receive gets the first send that was not taken before it."""
    place = 0
    for recv in recvs.tolist():
        while place < len(sends) and (
            key[sends[place]] < key[recv]
            or (key[sends[place]] == key[recv] and taken[sends[place]] < taken[recv] - 1e-9)
        ):
            place += 1
        if place == len(sends):
            return
        send = int(sends[place])
        if key[send] == key[recv] and start_s[send] <= taken[recv]:
            yield send, recv
            place += 1
