"""Traces: what Perfetto needs of a Chrome trace, rule by rule, and that nothing recorded is missing."""

import errno
import json
import math
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

import ddl_lab as lab
from ddl_lab.history import files, trace
from ddl_lab.history.history import History
from ddl_lab.history.recorder import KINDS, SPAN_DTYPE, Recorder
from ddl_lab.history.spans import spans_of

# by phase: the fields an event must have, and may have, with their types
NUMBER = (int, float)
FIELDS = {
    "M": {"name": str, "pid": int, "tid": int, "args": dict},
    "X": {"name": str, "cat": str, "ts": NUMBER, "dur": NUMBER, "pid": int, "tid": int, "args": dict},
    "s": {"name": str, "cat": str, "id": int, "ts": NUMBER, "pid": int, "tid": int},
    "f": {"name": str, "cat": str, "id": int, "ts": NUMBER, "pid": int, "tid": int, "bp": str},
    "C": {"name": str, "ts": NUMBER, "pid": int, "tid": int, "args": dict},
    "i": {"name": str, "ts": NUMBER, "pid": int, "tid": int, "s": str},
}


def events(history, folder):
    """The events of the trace, after every rule of the format is found kept."""
    path = history.save_trace(folder / "run.json")

    def no_constant(name):
        raise AssertionError(f"{name} is no JSON")

    document = json.loads(path.read_text(encoding="utf-8"), parse_constant=no_constant)
    assert isinstance(document, dict)
    found = document["traceEvents"]
    for event in found:
        fields = FIELDS[event["ph"]]
        assert event.keys() - {"ph"} == fields.keys(), event
        assert all(isinstance(event[name], kind) for name, kind in fields.items()), event
        assert event["pid"] >= 1 and event.get("ts", 0) >= 0 and event.get("dur", 0) >= 0
    times = [event["ts"] for event in found if "ts" in event]
    assert times == sorted(times)
    owners = {(event["tid"], event["pid"]) for event in found}
    assert len(dict(owners)) == len(owners)  # older importers name a thread by its number alone
    _check_nesting(found)
    _check_flows(found)
    return found


def _check_nesting(found):
    """Slices of one thread do not overlap: Perfetto would draw them wrongly."""
    ends = defaultdict(float)
    for event in found:
        if event["ph"] == "X":
            assert event["ts"] >= ends[event["pid"], event["tid"]] - 1e-6, event
            ends[event["pid"], event["tid"]] = event["ts"] + event["dur"]


def _check_flows(found):
    """Starts and finishes pair up by id, run forward, and each lies inside a slice of its thread."""
    slices = defaultdict(list)
    for event in found:
        if event["ph"] == "X":
            slices[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    starts, ends = ({e["id"]: e for e in found if e["ph"] == ph} for ph in "sf")
    assert starts.keys() == ends.keys()
    assert len(starts) + len(ends) == sum(event["ph"] in "sf" for event in found)  # ids once each
    for number, start in starts.items():
        assert ends[number]["ts"] >= start["ts"] and ends[number]["bp"] == "e"
        for event in (start, ends[number]):
            around = slices[event["pid"], event["tid"]]
            assert any(left <= event["ts"] < right for left, right in around), event


def imported(found):
    """The arrows as Perfetto's importer binds them: (name, (rank, slice), (rank, slice)), and what it drops.

    Events are sorted by nanosecond, equal ones stay in the order of the file. A slice goes on its thread's
    stack, off which those come first that have ended; one that overlaps what is left is dropped. An arrow's
    start and finish belong to the top of the stack, wherever it ends. (flow_tracker.cc, slice_tracker.cc)
    """
    stacks, open_flows, arrows, dropped = defaultdict(list), {}, [], []
    timed = [event for event in found if event["ph"] in "Xsf"]
    for event in sorted(timed, key=lambda event: round(event["ts"] * 1000)):
        stack, start = stacks[event["tid"]], round(event["ts"] * 1000)
        if event["ph"] == "X":
            while stack and stack[-1][0] <= start:
                stack.pop()
            end = start + round(event["dur"] * 1000)
            if stack and end > stack[-1][0]:
                dropped.append(event)
                continue
            stack.append((end, (event["pid"] - 1, event["name"], start)))
        elif not stack:
            dropped.append(event)
        elif event["ph"] == "s":
            assert event["id"] not in open_flows
            open_flows[event["id"], event["cat"], event["name"]] = stack[-1][1]
        else:
            key = event["id"], event["cat"], event["name"]
            arrows.append((event["name"], open_flows[key], stack[-1][1]))
    return arrows, dropped


def spans_and_arrows(history):
    """The arrows that the spans call for, as ``imported`` tells them."""
    spans = spans_of(history.recorders)

    def place(span):
        return (
            int(spans.rank[span]),
            KINDS[spans.kind[span]],
            int(np.rint(spans.start_s[span] * 1e9)),
        )

    pairs = list(zip(*(column.tolist() for column in spans.pairs), strict=True))
    meetings = spans.meetings
    last = spans.last_entries(meetings)
    members = np.flatnonzero(meetings >= 0).tolist()
    pairs += [(int(last[meetings[i]]), i) for i in members if last[meetings[i]] != i]
    return [(KINDS[spans.kind[to]], place(start), place(to)) for start, to in pairs]


def grouped(node):
    """Messages, collectives of the whole run and of two halves, at times of their own."""
    worker(node)
    half = node.group([r for r in range(node.world_size) if r % 2 == node.rank % 2])
    block = torch.zeros(100)
    for k in range(3):
        with node.compute(samples=20 * (1 + node.rank % 3) + k):
            pass
        half.all_reduce(block)
        node.barrier()


@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_perfettos_importer_binds_every_arrow_to_the_slices_it_belongs_to(nodes, tmp_path):
    history = lab.simulate(grouped, nodes)
    arrows, dropped = imported(events(history, tmp_path))
    assert not dropped
    assert Counter(arrows) == Counter(spans_and_arrows(history))
    assert {name for name, *_ in arrows} == {"recv", "all_reduce", "barrier"}


def test_arrows_of_groups_stay_in_their_group(tmp_path):
    def meet(node):
        half = node.group([0, 1] if node.rank < 2 else [2, 3])
        with node.compute(seconds=1.0):
            pass
        half.barrier()

    arrows, _ = imported(events(lab.simulate(meet, 4), tmp_path))
    assert {(start[0], end[0]) for _, start, end in arrows} == {(0, 1), (2, 3)}


def test_a_paced_run_keeps_the_arrows_of_all_its_collectives(tmp_path):
    """Processes wake up at times of their own, and every member of a collective has its arrow all the same.

    A message's has none if its sender woke up so late that it was due at the receiver before.
    """
    history = lab.run(grouped, 3, cluster=lab.Cluster(speeds=10_000.0), progress=False)
    arrows, dropped = imported(events(history, tmp_path))
    assert not dropped
    counts = Counter(name for name, *_ in arrows)
    assert counts["all_reduce"] == 3 * 2 + 3 and counts["barrier"] == 3 * 2
    spans = spans_of(history.recorders)
    sends, recvs = spans.pairs
    start, end = spans.start_s[sends], np.maximum(spans.end_s[recvs], spans.start_s[recvs] + 1e-9)
    assert len(sends) == 9
    assert counts["recv"] == pytest.approx(np.sum(end > start), abs=1)  # no arrow runs back in time


def worker(node):
    block, n = torch.zeros(5000), node.world_size
    for k in range(3):
        handle = node.isend(block, (node.rank + 1) % n)
        with node.compute(samples=10 * (1 + node.rank)):
            pass
        node.recv(block, (node.rank - 1) % n)
        handle.wait()
        node.all_reduce(block)
        node.record(loss=1.0 / (1 + k), extra=node.rank)


@pytest.fixture(scope="module")
def simulated():
    return lab.simulate(worker, 3)


def test_ranks_are_processes_with_names_and_an_order(simulated, tmp_path):
    found = [event for event in events(simulated, tmp_path) if event["ph"] == "M"]
    names = {e["pid"]: e["args"]["name"] for e in found if e["name"] == "process_name"}
    order = {e["pid"]: e["args"]["sort_index"] for e in found if e["name"] == "process_sort_index"}
    assert sorted(names.values()) == ["rank 0", "rank 1", "rank 2"]
    assert {names[pid]: place for pid, place in order.items()} == {"rank 0": 0, "rank 1": 1, "rank 2": 2}


def test_every_span_is_a_slice_in_microseconds(simulated, tmp_path):
    found = [event for event in events(simulated, tmp_path) if event["ph"] == "X"]
    spans = simulated.spans
    assert len(found) == len(spans)
    slices = Counter((e["pid"] - 1, e["name"], round(e["ts"], 2), e["args"]["bytes"]) for e in found)
    rows = zip(spans["rank"], spans.kind, spans.start_s, spans.bytes, strict=True)
    assert slices == Counter((rank, kind, round(start * 1e6, 2), size) for rank, kind, start, size in rows)
    longest = max(found, key=lambda event: event["dur"])
    assert longest["dur"] == pytest.approx((spans.end_s - spans.start_s).max() * 1e6, abs=1e-3)


def test_every_message_is_an_arrow_from_its_sender_to_its_receiver(simulated, tmp_path):
    found = [
        event for event in events(simulated, tmp_path) if event["ph"] in "sf" and event["name"] == "recv"
    ]
    ways = defaultdict(dict)
    for event in found:
        ways[event["id"]][event["ph"]] = event["pid"] - 1
    assert Counter((way["s"], way["f"]) for way in ways.values()) == {(0, 1): 3, (1, 2): 3, (2, 0): 3}


def test_a_collective_has_arrows_from_the_rank_that_came_last(tmp_path):
    def meet(node):
        for _ in range(3):
            with node.compute(seconds=2.0 if node.rank == 2 else 1.0):
                pass
            node.barrier()

    found = [event for event in events(lab.simulate(meet, 3), tmp_path) if event["name"] == "barrier"]
    assert Counter(event["pid"] - 1 for event in found if event["ph"] == "s") == {2: 3 * 2}
    assert Counter(event["pid"] - 1 for event in found if event["ph"] == "f") == {0: 3, 1: 3}


def test_metrics_are_counters_without_what_json_does_not_know(simulated, tmp_path):
    found = [event for event in events(simulated, tmp_path) if event["ph"] == "C"]
    assert [e["args"]["value"] for e in found if e["name"] == "loss" and e["pid"] == 2] == [1, 1 / 2, 1 / 3]
    recorder = Recorder()
    for value in (1.5, math.nan, math.inf, -math.inf, 1e-300):
        recorder.row(1.0, {'a "quoted" name': value})
    found = events(History("wall", [recorder]), tmp_path)
    assert [e["args"]["value"] for e in found if e["ph"] == "C"] == [1.5, 1e-300]


def test_hands_and_odd_labels_come_through(tmp_path):
    recorder = Recorder()
    recorder.span("compute", 0.0, 1.0, label='α "x"\n')
    history = History("wall", [recorder], about={"marks": [(0.5, 0, "slow x10"), [0.7, 0, "killed"]]})
    found = events(history, tmp_path)
    assert [(e["ts"], e["name"]) for e in found if e["ph"] == "i"] == [(5e5, "slow x10"), (7e5, "killed")]
    assert [e["args"]["label"] for e in found if e["ph"] == "X"] == ['α "x"\n']


def test_times_of_a_long_run_keep_their_nanoseconds(tmp_path):
    recorder = Recorder()
    recorder.span("compute", 86_400.000000123, 86_400.000000456)
    (found,) = (e for e in events(History("wall", [recorder]), tmp_path) if e["ph"] == "X")
    assert found["ts"] == pytest.approx(86_400e6 + 0.123, abs=2e-2) and found["dur"] < 0.4


def test_messages_beside_other_work_and_in_no_time_keep_their_arrows(tmp_path):
    recorders = [Recorder(), Recorder()]
    recorders[0].span("compute", 0.0, 3.0)
    for _ in range(3):
        recorders[0].span("send", 1.0, 2.0, 1, 8)
    recorders[1].span("compute", 0.0, 2.0)
    for _ in range(3):
        recorders[1].span("recv", 2.0, 2.0, 0, 8)
    recorders[1].span("compute", 2.0, 3.0)
    found = events(History("virtual", recorders), tmp_path)
    assert sum(e["ph"] == "s" for e in found) == 3
    assert all(e["tid"] == e["pid"] for e in found if e["name"] == "compute")
    assert len({e["tid"] for e in found if e["name"] == "send"}) == 3


@pytest.mark.parametrize("history", [History("wall", []), History("wall", [Recorder()])])
def test_a_run_that_recorded_nothing_is_a_trace(history, tmp_path):
    assert len([e for e in events(history, tmp_path) if e["name"] == "process_name"]) == history.nodes


def test_a_collective_of_no_time_has_no_broken_arrow(tmp_path):
    def meet(node):
        node.barrier()

    events(lab.simulate(meet, 3, cluster=lab.Cluster(latency_s=0.0)), tmp_path)


def test_real_and_paced_runs_keep_the_rules_too(tmp_path):
    found = events(lab.run(worker, 2, progress=False), tmp_path)
    assert Counter(e["name"] for e in found if e["ph"] == "s") == {"recv": 6, "all_reduce": 3}
    paced = events(lab.run(worker, 2, cluster=lab.Cluster(speeds=10_000.0), progress=False), tmp_path)
    assert sum(e["ph"] == "s" and e["name"] == "all_reduce" for e in paced) == 3


def test_an_ending_is_added_where_none_is_and_the_path_returned(simulated, tmp_path):
    assert simulated.save_trace(str(tmp_path / "run")) == tmp_path / "run.json"
    assert simulated.save_trace(tmp_path / "run.trace").name == "run.trace"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.json", "run.trace"]


def test_a_bad_path_is_refused_in_words(simulated, tmp_path):
    for save, name in ((simulated.save_trace, "run.json"), (simulated.save, "run.npz")):
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*absent; make it first"):
            save(tmp_path / "absent" / name)
        (tmp_path / name).mkdir()
        with pytest.raises(IsADirectoryError, match=f"{name} is a folder: name a file in it"):
            save(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "run.npz"]


def test_a_full_disk_keeps_the_old_trace_and_leaves_no_part(simulated, tmp_path, monkeypatch):
    path = simulated.save_trace(tmp_path / "run.json")
    old = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        simulated.save_trace(path)
    assert path.read_bytes() == old and [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_many_spans_are_written_as_they_come(tmp_path, monkeypatch):
    """The text of the events never stands in memory as a whole."""
    rows = np.zeros(200_000, SPAN_DTYPE)
    rows["start_s"] = np.arange(len(rows)) * 1e-6
    rows["end_s"] = rows["start_s"] + 1e-6
    rows["kind"] = KINDS.index("compute")
    recorder = Recorder()
    recorder.spans = bytearray(rows.tobytes())
    largest = 0
    chunks = trace._chunks

    def watched(events):
        nonlocal largest
        for chunk in chunks(events):
            largest = max(largest, sum(map(len, chunk)))
            yield chunk

    monkeypatch.setattr(trace, "_chunks", watched)
    path = History("virtual", [recorder]).save_trace(tmp_path / "large.json")
    assert path.stat().st_size > 20e6 > 10 * largest
    assert len(re.findall(rb'"ph": "X"', path.read_bytes())) == len(rows)
