"""All spans of a run: which messages and collectives belong together, what lies beside other work."""

import numpy as np
import pytest
import torch

import ddl_lab as lab
from ddl_lab.history.recorder import KINDS, Recorder
from ddl_lab.history.spans import group_of, spans_of
from ddl_lab.node.port import Group


def recorded(*ranks):
    """Spans of hand-made ranks, each a list of (kind, start_s, end_s, peer, bytes, label)."""
    recorders = []
    for rows in ranks:
        recorder = Recorder()
        for kind, start_s, end_s, *rest in rows:
            recorder.span(kind, start_s, end_s, *rest)
        recorders.append(recorder)
    return spans_of(recorders)


def paired(spans):
    """Pairs as ((rank, place), (rank, place)), a place counting the spans of its rank."""
    first = np.searchsorted(spans.rank, np.arange(spans.nodes))
    where = [(int(rank), int(i - first[rank])) for i, rank in enumerate(spans.rank)]
    return sorted((where[send], where[recv]) for send, recv in zip(*spans.pairs, strict=True))


def test_messages_of_one_way_pair_in_order():
    spans = recorded(
        [("send", 0, 1, 1, 8), ("send", 1, 3, 1, 8)], [("recv", 0, 1, 0, 8), ("recv", 2, 3, 0, 8)]
    )
    assert paired(spans) == [((0, 0), (1, 0)), ((0, 1), (1, 1))]


def test_messages_pair_by_way_and_size():
    spans = recorded(
        [("send", 0, 2, 1, 4), ("send", 0, 2, 2, 8), ("send", 0, 2, 1, 16)],
        [("recv", 0, 2, 0, 16), ("recv", 0, 2, 0, 4)],
        [("recv", 0, 2, 0, 8)],
    )
    assert paired(spans) == [((0, 0), (1, 1)), ((0, 1), (2, 0)), ((0, 2), (1, 0))]


def test_a_send_counts_from_when_it_was_taken():
    sends = [("send", 0, 1, 1, 8), ("wait", 1, 5, 1, 0, "send"), ("send", 2, 3, 1, 8)]
    spans = recorded(sends, [("recv", 2, 3, 0, 8), ("recv", 5, 5, 0, 8)])
    assert paired(spans) == [((0, 0), (1, 1)), ((0, 2), (1, 0))]


def test_a_message_under_way_is_left_out_and_the_others_keep_their_partners():
    sends = [("send", 0, 1, 1, 8), ("send", 1, 2, 1, 8), ("send", 2, 3, 1, 8)]
    spans = recorded(sends, [("recv", 0, 1, 0, 8), ("recv", 2, 3, 0, 8)])
    assert paired(spans) == [((0, 0), (1, 0)), ((0, 2), (1, 1))]
    only_received = recorded([], [("recv", 0, 1, 0, 8)])
    assert paired(only_received) == []


def test_a_call_begins_with_its_wait_and_a_handle_with_its_posting():
    spans = recorded(
        [
            ("wait", 0, 2, 1, 0, "recv"),
            ("recv", 2, 3, 1, 8),
            ("compute", 3, 5),
            ("wait", 5, 7, 1, 0, "recv"),
            ("recv", 3, 7, 1, 8),
        ],
        [],
    )
    assert spans.called_s[[1, 4]].tolist() == [0, 3]
    assert spans.cause[[0, 3]].tolist() == [1, 4]


@pytest.mark.parametrize(
    ("rows", "main"),
    [
        ([("compute", 0, 1), ("send", 1, 2), ("recv", 2, 3)], [True, True, True]),
        ([("compute", 0, 2), ("send", 1, 3)], [True, False]),
        ([("send", 0, 9), ("compute", 1, 2), ("recv", 6, 7)], [False, True, True]),
        ([("recv", 0, 1), ("send", 0, 5)], [True, False]),
        ([("compute", 1, 1), ("recv", 1, 1)], [False, False]),
    ],
)
def test_main_spans_follow_one_another(rows, main):
    assert recorded(rows).main.tolist() == main


def test_ranks_of_a_collective_meet_and_the_last_one_is_known():
    spans = recorded(
        [("wait", 0, 2, -1, 0, "all_reduce"), ("all_reduce", 2, 3), ("barrier", 3, 4)],
        [("all_reduce", 2, 3), ("barrier", 3, 4)],
    )
    meetings = spans.meetings
    assert meetings[1] == meetings[3] != meetings[2] == meetings[4]
    last = spans.last_entries(meetings)
    assert spans.rank[last[meetings[1]]] == 1
    assert spans.rank[last[meetings[2]]] == 0  # both at once: the lowest


def test_the_kth_collectives_of_all_ranks_meet_however_late_one_wakes_up():
    spans = recorded(
        [("barrier", 2.0, 2.1), ("barrier", 4.0, 5.0)], [("barrier", 2.5, 3.0), ("barrier", 4.002, 5.0)]
    )
    assert spans.meetings.tolist() == [0, 1, 0, 1]


def test_groups_that_meet_in_the_same_instant_are_apart():
    def worker(node):
        half = node.group([0, 1] if node.rank < 2 else [2, 3])
        for _ in range(2):
            half.barrier()
            node.barrier()

    history = lab.simulate(worker, 4)
    spans = spans_of(history.recorders)
    met = {}
    for rank, number in zip(spans.rank.tolist(), spans.meetings.tolist(), strict=True):
        met.setdefault(number, []).append(rank)
    met.pop(-1, None)
    assert sorted(met.values()) == [[0, 1]] * 2 + [[0, 1, 2, 3]] * 2 + [[2, 3]] * 2
    labels = history.spans[history.spans.kind == "barrier"].label
    assert set(labels) == {"", "ranks 0, 1", "ranks 2, 3"}


@pytest.mark.parametrize(
    ("label", "group"),
    [("", ""), ("mean", ""), ("mean by ring", ""), ("ranks 0, 2", "0, 2"), ("mean, ranks 3, 1", "3, 1")],
)
def test_a_label_names_the_group(label, group):
    assert group_of(label) == group


def test_a_run_that_recorded_nothing_has_no_spans():
    spans = recorded([], [])
    assert not len(spans.main) and not len(spans.pairs[0]) and not len(spans.meetings)


def test_every_message_of_a_simulation_is_paired_with_its_own():
    def worker(node):
        received, handles = torch.zeros(4), []
        for k in range(6):
            handles += [node.isend(torch.ones(4), (node.rank + d) % 4, tag=k % 2) for d in (1, 2)]
            with node.compute(seconds=0.001 * (1 + node.rank)):
                pass
            for _ in range(2):
                node.recv(received, tag=k % 2)
        for handle in handles:
            handle.wait()

    history = lab.simulate(worker, 4)
    spans = spans_of(history.recorders)
    sends, recvs = spans.pairs
    assert len(sends) == 4 * 6 * 2
    assert (spans.peer[sends] == spans.rank[recvs]).all() and (spans.peer[recvs] == spans.rank[sends]).all()
    assert (spans.kind[sends] == KINDS.index("send")).all()
    np.testing.assert_array_equal(spans.end_s[sends], spans.end_s[recvs])  # delivered once


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        (tuple(range(6)), ""),
        ((5, 4, 3, 2, 1, 0), "ranks 5, 4, …, 0"),
        ((0, 2, 4, 6, 8), "ranks 0, 2, …, 8"),
        ((0, 2, 4, 6, 9), "ranks 0, 2, 4, 6, 9"),
        ((3,), "ranks 3"),
    ],
)
def test_a_groups_words_tell_its_ranks(ranks, words):
    world_size = 6 if len(ranks) == 6 else 10
    assert Group(ranks, 0).words(world_size) == words
