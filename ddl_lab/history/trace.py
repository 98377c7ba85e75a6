"""A run as a Chrome trace: JSON that opens in Perfetto (ui.perfetto.dev) and in chrome://tracing.

Ranks are processes, spans are complete events on a thread of theirs, messages that move beside other work
lie on further threads; flow arrows lead from each send to its receive, and from the rank that came last
to a collective to the others; metrics are counters. (Format: "Trace Event Format", Chromium project, as
Perfetto's importer reads it: an arrow's ends belong to the last slice that began on their thread, slices of a
thread that overlap are dropped, and a thread's number must be its own in the whole file.)
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .critical import WORK, WORK_OF_KIND
from .files import whole_file
from .recorder import KINDS, Recorder
from .spans import Array, Spans, spans_of

FIRST_PID = 1  # rank 0's: Perfetto keeps process 0 for the kernel's idle task
MAIN = 0  # the lane of a rank's spans; those beside them have lanes 1, 2, …
_CHUNK = 10_000  # events written at a time
Timed: TypeAlias = tuple[int, int, str]  # nanoseconds, order at one instant, an event as JSON


def write_trace(path: Path, recorders: Sequence[Recorder], clock: str, about: Mapping[str, Any]) -> Path:
    """Write the trace; the file appears whole or not at all. Raises ``OSError`` for a bad path."""
    path = path if path.suffix else path.with_name(path.name + ".json")
    spans = spans_of(recorders)
    start, end, main = _nanoseconds(spans)
    lanes = _lanes(spans, start, end, main)
    threads = FIRST_PID + spans.rank + lanes * len(recorders)  # the main one has its process's number
    streams = [
        _slices(spans, start, end, threads),
        _flows(spans, start, end, threads),
        *_counters(recorders),
        _marks(about.get("marks", ())),
    ]
    events = (event for _, _, event in heapq.merge(*streams))
    head = {"displayTimeUnit": "ms", "otherData": {"clock": clock, "ranks": len(recorders)}}
    with whole_file(path) as file:
        file.write((json.dumps(head)[:-1] + ', "traceEvents": [\n').encode())
        written = 0
        for chunk in _chunks(chain(_names(lanes, spans, len(recorders)), events)):
            file.write(((",\n" if written else "") + ",\n".join(chunk)).encode())
            written += len(chunk)
        file.write(b"\n]}\n")
    return path


def _nanoseconds(spans: Spans) -> tuple[Array, Array, Array]:
    """Start and end of every span, and which of them make up their rank's time.

    The others take one nanosecond at least, or they could not carry an arrow.
    """
    start = np.rint(spans.start_s * 1e9).astype(np.int64)
    end = np.rint(spans.end_s * 1e9).astype(np.int64)
    main = spans.main & (end > start)
    return start, np.where(main, end, np.maximum(end, start + 1)), main


def _lanes(spans: Spans, start: Array, end: Array, main: Array) -> Array:
    """The lane of every span: main ones on the first, the others where there is room."""
    lanes = np.full(len(spans.rank), MAIN)
    beside = np.flatnonzero(~main)
    order = beside[np.lexsort((end[beside], start[beside], spans.rank[beside]))]
    rank, free = -1, list[int]()  # by further thread: when it is free
    for i in order.tolist():
        if spans.rank[i] != rank:
            rank, free = spans.rank[i], []
        lane = next((k for k, until in enumerate(free) if until <= start[i]), len(free))
        free[lane : lane + 1] = [end[i]]
        lanes[i] = MAIN + 1 + lane
    return lanes


def _names(lanes: Array, spans: Spans, nodes: int) -> Iterator[str]:
    """What the processes and threads are called, and their order."""
    for rank in range(nodes):
        pid = rank + FIRST_PID
        yield _meta("process_name", pid, pid, {"name": f"rank {rank}"})
        yield _meta("process_sort_index", pid, pid, {"sort_index": rank})
    used = np.unique(np.stack([spans.rank, lanes], axis=1), axis=0)
    for rank, lane in used.tolist():
        pid, tid = rank + FIRST_PID, rank + FIRST_PID + lane * nodes
        name = "spans" if lane == MAIN else f"beside them {lane}"
        yield _meta("thread_name", pid, tid, {"name": name})
        yield _meta("thread_sort_index", pid, tid, {"sort_index": lane})


def _meta(name: str, pid: int, tid: int, args: dict[str, Any]) -> str:
    return json.dumps({"ph": "M", "name": name, "pid": pid, "tid": tid, "args": args})


def _slices(spans: Spans, start: Array, end: Array, threads: Array) -> Iterator[Timed]:
    heads = [
        f'{{"ph": "X", "name": "{kind}", "cat": "{WORK[WORK_OF_KIND[code]]}", '
        for code, kind in enumerate(KINDS)
    ]
    texts = {text: json.dumps(text) for text in set(spans.label.tolist())}
    for i in np.lexsort((-end, start)).tolist():
        at = int(start[i])
        peer = f'"peer": {spans.peer[i]}, ' if spans.peer[i] >= 0 else ""
        event = (
            f'{heads[spans.kind[i]]}"ts": {_us(at)}, "dur": {_us(int(end[i]) - at)}, '
            f'"pid": {spans.rank[i] + FIRST_PID}, "tid": {threads[i]}, '
            f'"args": {{{peer}"bytes": {spans.bytes[i]}, "label": {texts[spans.label[i]]}}}}}'
        )
        yield at, 0, event


def _flows(spans: Spans, start: Array, end: Array, threads: Array) -> Iterator[Timed]:
    """Arrows as pairs of events in their two spans: a start, and a finish just before the end."""
    pairs = np.concatenate([np.stack(spans.pairs, axis=1), _releases(spans)])
    leaves, comes = start[pairs[:, 0]], end[pairs[:, 1]] - 1
    # else the clocks of two hosts are apart, or a paced process woke up after its message was due
    fits = comes >= leaves
    pairs, times = pairs[fits], np.stack([leaves, comes], axis=1)[fits]
    order = np.lexsort((np.tile([0, 1], len(pairs)), times.ravel()))
    for place in order.tolist():
        number, finish = divmod(place, 2)
        span, at = int(pairs[number, finish]), int(times[number, finish])
        ph = '"f", "bp": "e"' if finish else '"s"'
        event = (
            f'{{"ph": {ph}, "name": "{KINDS[spans.kind[pairs[number, 1]]]}", "cat": "message", '
            f'"id": {number + 1}, "ts": {_us(at)}, '
            f'"pid": {spans.rank[span] + FIRST_PID}, "tid": {threads[span]}}}'
        )
        yield at, 1 + finish, event


def _releases(spans: Spans) -> Array:
    """Of every collective: its last rank's span with each other member's, shape (k, 2)."""
    meetings = spans.meetings
    members = np.flatnonzero(meetings >= 0)
    if not len(members):
        return np.empty((0, 2), dtype=np.int64)
    last = spans.last_entries(meetings)[meetings[members]]
    pairs = np.stack([last, members], axis=1)
    return pairs[last != members]


def _counters(recorders: Sequence[Recorder]) -> list[Iterator[Timed]]:
    """Every finite metric, by rank; JSON knows no other numbers."""
    tables = [(rank, recorder.row_arrays()) for rank, recorder in enumerate(recorders)]
    return [_counter(rank, names, rows) for rank, table in tables for names, rows in table.items()]


def _counter(rank: int, names: tuple[str, ...], rows: Array) -> Iterator[Timed]:
    texts, pid = [json.dumps(name) for name in names], rank + FIRST_PID
    for row in rows:
        _, time_s, *values = row.tolist()
        at = round(time_s * 1e9)
        for text, value in zip(texts, values, strict=True):
            event = f'{{"ph": "C", "name": {text}, "ts": {_us(at)}, "pid": {pid}, "tid": {pid}, '
            if math.isfinite(value):
                yield at, 3, f'{event}"args": {{"value": {value!r}}}}}'


def _marks(marks: Iterable[Any]) -> Iterator[Timed]:
    """What the learner's hands did, as instants of the rank."""
    found = []
    for time_s, rank, text in marks:
        at = round(time_s * 1e9)
        pid = rank + FIRST_PID
        event = {"ph": "i", "s": "p", "name": text, "pid": pid, "tid": pid, "ts": at / 1000}
        found.append((at, 4, json.dumps(event)))
    return iter(sorted(found))


def _us(nanoseconds: int) -> str:
    """Microseconds with all their decimals."""
    return f"{nanoseconds // 1000}.{nanoseconds % 1000:03d}"


def _chunks(events: Iterator[str]) -> Iterator[list[str]]:
    return iter(lambda: list(islice(events, _CHUNK)), [])
