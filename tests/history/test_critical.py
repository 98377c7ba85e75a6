"""The critical path: on hand-made histories by hand, on simulations by who was made slow."""

import time

import numpy as np
import pytest
import torch

import ddl_lab as lab
from ddl_lab.history.history import History
from ddl_lab.history.recorder import Recorder


def made(*ranks, clock="virtual", ends=None):
    """A history of hand-made ranks, each a list of (kind, start_s, end_s, peer, bytes, label)."""
    recorders = []
    for rows in ranks:
        recorder = Recorder()
        for row in rows:
            recorder.span(*row)
        recorders.append(recorder)
    last = [max((row[2] for row in rows), default=0) for rows in ranks]
    return History(clock, recorders, finished_s=dict(enumerate(ends or last)))


def path(history):
    """The path as (rank, kind, start, end); its parts join from 0 to the end."""
    table = history.critical_path()
    starts, ends = table.start_s.to_numpy(), table.end_s.to_numpy()
    assert starts[0] == 0 and ends[-1] == history.elapsed_s
    np.testing.assert_array_equal(starts[1:], ends[:-1])
    assert (ends > starts).all()
    return list(table[["rank", "kind", "start_s", "end_s"]].itertuples(index=False, name=None))


def test_one_rank_is_its_own_path_with_what_lies_between():
    history = made([("compute", 0, 1), ("compute", 1.5, 3)], ends=[4])
    assert path(history) == [
        (0, "compute", 0, 1),
        (0, "other", 1, 1.5),
        (0, "compute", 1.5, 3),
        (0, "other", 3, 4),
    ]


def test_a_collective_leads_to_the_rank_that_came_last():
    fast = [("compute", 0, 1), ("wait", 1, 3, -1, 0, "all_reduce"), ("all_reduce", 3, 4)]
    slow = [("compute", 0, 3), ("all_reduce", 3, 4)]
    after = [("compute", 4, 6)]
    assert path(made(fast + after, slow)) == [
        (1, "compute", 0, 3),
        (0, "all_reduce", 3, 4),
        (0, "compute", 4, 6),
    ]


def test_who_came_last_in_one_collective_is_not_asked_in_the_next():
    one = [("compute", 0, 1), ("wait", 1, 3, -1, 0, "barrier"), ("barrier", 3, 4), ("compute", 4, 9)]
    two = [("compute", 0, 3), ("barrier", 3, 4), ("compute", 4, 5), ("wait", 5, 9, -1, 0, "barrier")]
    end = [("barrier", 9, 10)]
    assert path(made(one + end, two + end)) == [
        (1, "compute", 0, 3),
        (0, "barrier", 3, 4),
        (0, "compute", 4, 9),
        (0, "barrier", 9, 10),
    ]


def test_a_wait_for_a_message_leads_to_its_sender():
    sender = [("compute", 0, 2), ("send", 2, 4, 1, 8)]
    receiver = [("compute", 0, 1), ("wait", 1, 3, 0, 0, "recv"), ("recv", 3, 4, 0, 8), ("compute", 4, 5)]
    assert path(made(sender, receiver)) == [
        (0, "compute", 0, 2),
        (0, "send", 2, 3),
        (1, "recv", 3, 4),
        (1, "compute", 4, 5),
    ]


def test_a_message_that_was_there_before_does_not_bind():
    sender = [("compute", 0, 1), ("send", 1, 2, 1, 8), ("wait", 2, 5, 1, 0, "send"), ("compute", 5, 6)]
    receiver = [("compute", 0, 5), ("recv", 5, 5, 0, 8)]
    assert path(made(sender, receiver)) == [(1, "compute", 0, 5), (0, "compute", 5, 6)]


def test_a_real_send_that_waits_for_its_receiver_leads_there():
    sender = [("compute", 0, 1), ("wait", 1, 5, 1, 0, "send"), ("send", 5, 6, 1, 8)]
    receiver = [("compute", 0, 5), ("recv", 5, 6, 0, 8)]
    assert path(made([*sender, ("compute", 6, 7)], receiver, clock="wall")) == [
        (1, "compute", 0, 5),
        (1, "recv", 5, 6),
        (0, "compute", 6, 7),
    ]


def test_a_wait_for_a_handle_leads_to_the_sender():
    sender = [("compute", 0, 3), ("send", 3, 4, 1, 8)]
    receiver = [("compute", 0, 1), ("wait", 1, 4, 0, 0, "recv"), ("recv", 0, 4, 0, 8), ("compute", 4, 5)]
    assert path(made(sender, receiver)) == [(0, "compute", 0, 3), (0, "send", 3, 4), (1, "compute", 4, 5)]


def test_messages_that_queue_on_a_link_bind_as_a_chain_of_receives():
    server = [("wait", 0, 2, 1, 0, "recv"), ("recv", 2, 4, 1, 8), ("recv", 4, 6, 2, 8), ("compute", 6, 7)]
    first = [("compute", 0, 1), ("send", 1, 4, 0, 8)]
    second = [("compute", 0, 1), ("send", 1, 6, 0, 8)]
    assert path(made(server, first, second)) == [
        (1, "compute", 0, 1),
        (1, "send", 1, 2),
        (0, "recv", 2, 4),
        (0, "recv", 4, 6),
        (0, "compute", 6, 7),
    ]


def test_a_wait_that_nothing_explains_stays_a_wait():
    lonely = [("compute", 0, 1), ("wait", 1, 3, 1, 0, "recv"), ("recv", 3, 4, 1, 8)]
    assert path(made(lonely, [])) == [(0, "compute", 0, 1), (0, "wait", 1, 3), (0, "recv", 3, 4)]


def test_ranks_that_wait_for_each_other_in_one_instant_end_the_walk_all_the_same():
    rows = [
        [("wait", 0, 2, 1 - rank, 0, "recv"), ("recv", 2, 2, 1 - rank, 8), ("send", 2, 2, 1 - rank, 8)]
        for rank in (0, 1)
    ]
    assert [kind for _, kind, *_ in path(made(*rows))] == ["wait"]


def test_shares_add_up_to_one_by_rank_and_along_the_path():
    fast = [("compute", 0, 1), ("wait", 1, 3, -1, 0, "all_reduce"), ("all_reduce", 3, 4)]
    slow = [("compute", 0, 3), ("all_reduce", 3, 4)]
    shares = made(fast, slow, ends=[5, 4]).shares()
    assert list(shares.columns) == ["compute", "communicate", "wait", "other"]
    assert list(shares.index) == [0, 1, "critical path"]
    assert shares.loc[0].tolist() == pytest.approx([0.2, 0.2, 0.4, 0.2])
    assert shares.loc[1].tolist() == pytest.approx([0.6, 0.2, 0, 0.2])
    assert shares.loc["critical path"].tolist() == pytest.approx([0.6, 0.2, 0, 0.2])


def test_a_message_beside_other_work_does_not_count_twice():
    shares = made([("compute", 0, 2), ("send", 0, 2, 1, 8)], [("recv", 2, 2, 0, 8)]).shares()
    assert shares.loc[0].tolist() == pytest.approx([1, 0, 0, 0])


def test_a_history_of_nothing_has_an_empty_path():
    history = made([], [])
    assert len(history.critical_path()) == 0
    assert list(history.critical_path().columns) == list(history.spans.columns)
    assert (history.shares().to_numpy() == 0).all()


def test_the_path_grows_with_the_history():
    history = made([("compute", 0, 1)])
    assert len(history.critical_path()) == 1
    history.recorders[0].span("compute", 1, 2)
    history.finished_s[0] = 2
    assert len(history.critical_path()) == 2


# -- simulations: the one that was made slow must be on the path ------------------------------------


def synchronous(node):
    gradient = torch.zeros(1000)
    for _ in range(5):
        with node.compute(samples=100):
            pass
        node.all_reduce(gradient, op="mean")


def ring(node):
    """Each sends to its right and receives from its left, while it computes."""
    block, n = torch.zeros(20_000), node.world_size
    for _ in range(4):
        handle = node.isend(block, (node.rank + 1) % n)
        with node.compute(samples=100):
            pass
        node.recv(block, (node.rank - 1) % n)
        handle.wait()


def pipeline(node):
    block = torch.zeros(2000)
    for _ in range(6):
        if node.rank > 0:
            node.recv(block, node.rank - 1)
        with node.compute(samples=100):
            pass
        if node.rank < node.world_size - 1:
            node.send(block, node.rank + 1)


def server(node):
    """A parameter server on rank 0."""
    block = torch.zeros(50_000)
    for _ in range(4 * (node.world_size - 1) if node.rank == 0 else 4):
        if node.rank == 0:
            sender = node.recv(block)
            node.send(block, sender)
        else:
            with node.compute(samples=100):
                pass
            node.send(block, 0)
            node.recv(block, 0)


STRAGGLER = 2


@pytest.mark.parametrize("worker", [synchronous, ring, pipeline, server])
def test_the_path_runs_through_the_stragglers_computing_and_adds_up(worker):
    history = lab.simulate(worker, 4, cluster=lab.Cluster(slow={STRAGGLER: 8.0}))
    parts = path(history)
    computed = [(rank, end - start) for rank, kind, start, end in parts if kind == "compute"]
    own = history.spans.query("rank == @STRAGGLER and kind == 'compute'")
    of_straggler = sum(length for rank, length in computed if rank == STRAGGLER)
    assert of_straggler == pytest.approx((own.end_s - own.start_s).sum())  # all of it bounds the run
    assert of_straggler > 0.85 * history.elapsed_s
    assert sum(end - start for *_, start, end in parts) == pytest.approx(history.elapsed_s, rel=1e-12)
    assert history.shares().loc["critical path"].sum() == pytest.approx(1)


def test_taking_what_is_on_the_path_out_makes_the_run_faster_and_what_is_not_does_not():
    def elapsed_s(slow):
        return lab.simulate(synchronous, 4, cluster=lab.Cluster(slow=slow)).elapsed_s

    assert elapsed_s({STRAGGLER: 7.0, 1: 2.0}) < elapsed_s({STRAGGLER: 8.0, 1: 2.0})
    assert elapsed_s({STRAGGLER: 8.0, 1: 1.0}) == elapsed_s({STRAGGLER: 8.0, 1: 2.0})


def test_a_parameter_server_whose_link_is_the_bottleneck_communicates_along_its_path():
    fast_nodes = lab.simulate(server, 9, cluster=lab.Cluster(speeds=1e8, bandwidth_bytes_per_s=1e8))
    path(fast_nodes)
    assert fast_nodes.shares().loc["critical path", "communicate"] > 0.95


def test_a_simulated_path_waits_for_nothing():
    for worker in (synchronous, ring, pipeline, server):
        history = lab.simulate(worker, 5, cluster=lab.Cluster(speeds=lab.geometric(0.8)))
        assert history.shares().loc["critical path", "wait"] == pytest.approx(0, abs=1e-9), worker


def test_sub_groups_have_meetings_of_their_own():
    def worker(node):
        pair = node.group([0, 1] if node.rank < 2 else [2, 3])
        with node.compute(seconds=1.0 + node.rank):
            pass
        pair.barrier()
        with node.compute(seconds=9.0 if node.rank == 1 else 1.0):
            pass
        node.barrier()

    history = lab.simulate(worker, 4, cluster=lab.Cluster(latency_s=0.0))
    assert path(history) == [(1, "compute", 0, 2), (1, "compute", 2, 11)]


@pytest.mark.parametrize("transport", ["shm", "gloo"])
def test_on_real_processes_too(transport):
    def worker(node):
        block = torch.zeros(1000)
        for _ in range(3):
            with node.compute(samples=1):
                time.sleep(0.3 if node.rank == 1 else 0.0)
            node.all_reduce(block)
        if node.rank == 1:
            node.send(block, 0)
        elif node.rank == 0:
            node.recv(block, 1)

    history = lab.run(worker, 3, transport=transport, progress=False)
    parts = path(history)
    slept = [end - start for rank, kind, start, end in parts if (rank, kind) == (1, "compute")]
    assert len(slept) == 3 and sum(slept) >= 0.9
    assert history.samples == [3, 3, 3]
