"""Paced runs take the time of the cluster they describe; hands on the nodes act at once and leave marks."""

import time

import pytest
import torch

import ddl_lab as lab

EIGHT = lab.Cluster(latency_s=1e-3, bandwidth_bytes_per_s=1e8)


def synchronous(node):
    gradient = torch.ones(10_000)
    for _ in range(10):
        with node.compute(seconds=0.02):
            pass
        node.all_reduce(gradient, op="mean")
        node.record(loss=gradient[0])
    return gradient


def server(node):
    """Rank 0 answers the others in the order of their arrival."""
    box = torch.zeros(25_000)
    if node.rank == 0:
        for _ in range(4 * (node.world_size - 1)):
            source = node.recv(box)
            with node.compute(seconds=0.002):
                box += 1
            node.send(box, source)
    else:
        for _ in range(4):
            with node.compute(seconds=0.02):
                pass
            node.send(box, 0)
            node.recv(box, 0)
    return box


@pytest.mark.parametrize("transport", ["shm", "gloo"])
@pytest.mark.parametrize(("worker", "nodes"), [(synchronous, 8), (server, 3)])
def test_a_paced_run_takes_at_least_the_time_that_simulate_predicts(worker, nodes, transport):
    """How closely it does is measured by ``make bench``: a busy machine can only be later."""
    predicted = lab.simulate(worker, nodes, cluster=EIGHT).elapsed_s
    paced = lab.run(worker, nodes, cluster=EIGHT, transport=transport, progress=False).elapsed_s
    assert paced >= 0.99 * predicted


def test_a_paced_run_says_so_and_keeps_the_numbers():
    history = lab.run(synchronous, 3, cluster=EIGHT, progress=False)
    assert history.clock == "paced"
    assert torch.equal(history.results[2], lab.simulate(synchronous, 3, cluster=EIGHT).results[2])
    assert history.bytes_sent == lab.simulate(synchronous, 3, cluster=EIGHT).bytes_sent


def test_a_message_is_not_received_before_the_cluster_would_deliver_it():
    def worker(node):
        box = torch.zeros(250_000)  # 1 MB: 10 ms on the link, and 1 ms of latency
        if node.rank == 0:
            node.send(box, 1)
            node.send(box, 1)
        else:
            node.recv(box, 0)
            first = node.now()
            node.recv(box, 0)
            return first, node.now()

    first, second = lab.run(worker, 2, cluster=EIGHT, progress=False).results[1]
    assert first >= 0.011 and second >= 0.021


def test_waiting_for_a_paced_message_is_no_deadlock():
    slow = lab.Cluster(latency_s=0.8)

    def worker(node):
        box = torch.zeros(1)
        if node.rank:
            node.recv(box, 0)
        else:
            node.send(box, 1)
        return node.now()

    assert min(lab.run(worker, 2, cluster=slow, progress=False).results) >= 0.8


def test_clusters_of_another_size_and_no_clusters_are_refused():
    with pytest.raises(ValueError, match="3 entries for 2 nodes"):
        lab.run(synchronous, 2, cluster=lab.Cluster(speeds=[1, 2, 3]))
    with pytest.raises(TypeError, match="cluster must be a Cluster, got 3"):
        lab.run(synchronous, 2, cluster=3)


# hands


def stepping(node):
    while True:
        with node.compute(seconds=0.01):
            time.sleep(0.01)
        node.record(at=node.now())


def rows(run, rank):
    return int((run.history.metrics["rank"] == rank).sum())


def grows(run, rank, seconds=1.0):
    before, end = rows(run, rank), time.monotonic() + seconds
    while time.monotonic() < end:
        if rows(run, rank) > before + 1:
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def going():
    run = lab.start(stepping, 2, progress=False)
    assert grows(run, 1, 20)
    yield run
    run.stop()


def test_slow_stretches_the_spans_of_one_rank_and_can_be_undone(going):
    going.slow(1, 10)
    time.sleep(1.0)
    spans = going.history.spans
    last = spans[spans.kind == "compute"].groupby("rank").last()
    lengths = (last.end_s - last.start_s).tolist()
    assert lengths[1] > 5 * lengths[0]
    going.slow(1, 1)
    assert [mark[1:] for mark in going.history.about["marks"]] == [(1, "slow x10"), (1, "slow x1")]


def test_pause_holds_a_rank_and_resume_lets_it_go_on(going):
    going.pause(1)
    time.sleep(0.2)  # what was on its way has arrived
    assert not grows(going, 1, 0.4)
    assert grows(going, 0)
    going.resume(1)
    assert grows(going, 1)
    assert [text for _, _, text in going.history.about["marks"]] == ["paused", "resumed"]


def test_kill_ends_the_run_and_names_the_rank(going):
    began = time.monotonic()
    going.kill(1)
    with pytest.raises(lab.WorkerError, match="rank 1 was killed by SIGKILL"):
        going.wait()
    assert time.monotonic() - began < 2


def test_a_paused_rank_can_be_stopped(going):
    going.pause(0)
    began = time.monotonic()
    going.stop()
    assert going.done and time.monotonic() - began < 2


def test_hands_on_ranks_that_are_not_there_are_refused(going):
    for call in (going.pause, going.resume, going.kill, lambda rank: going.slow(rank, 2)):
        with pytest.raises(ValueError, match=r"rank 2: the ranks of this run are whole numbers 0 to 1"):
            call(2)
    with pytest.raises(ValueError, match=r"factor=0\.5"):
        going.slow(1, 0.5)
