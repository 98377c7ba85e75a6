"""Paced runs take the time of the cluster they describe; hands on the nodes act at once and leave marks."""

import math
import time

import numpy as np
import pytest
import torch
from faulty import Loading, is_stopped
from waiting import AGES_S, patience, wait_until

import ddl_lab as lab
from ddl_lab.cluster.collectives import even_work
from ddl_lab.node.port import Collective, Group
from ddl_lab.processes.transports import endpoint, posting
from ddl_lab.processes.transports.endpoint import Endpoint
from ddl_lab.processes.transports.pacing import Pacer

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


def too_much(node):
    """Each span really takes fifty times what the cluster would."""
    for _ in range(4):
        with node.compute(seconds=0.001):
            time.sleep(0.05)
        node.barrier()


@pytest.mark.parametrize("transport", ["shm", "gloo"])
def test_a_run_that_misses_its_pace_says_by_how_much(transport):
    history = lab.run(too_much, 2, cluster=EIGHT, transport=transport, progress=False)
    planned_s = lab.simulate(too_much, 2, cluster=EIGHT).elapsed_s
    # four spans take 49 ms too much each; of what is up to 10 ms late some may be made up, now and then
    assert 4 * 0.039 <= min(history.missed_s) <= history.elapsed_s - planned_s
    words = f"paced clock, missed by up to {max(history.missed_s):.2g} s"
    assert words in history.plot_timeline().get_suptitle().replace("\n", " ")


def test_what_a_last_span_takes_beyond_the_pace_counts_too():
    def worker(node):
        with node.compute(seconds=0.001):
            time.sleep(0.1)

    (missed_s,) = lab.run(worker, 1, cluster=EIGHT, progress=False).missed_s
    assert missed_s >= 0.099 - 0.01


def test_waking_up_late_is_made_up_and_not_missed():
    pacer = Pacer(EIGHT, 0)
    for due in (0.0, 0.1, 0.2):  # each span begins up to 9 ms late, and lasts 100 ms from when it was due
        assert pacer.due(due + 0.009) == pytest.approx(due)
        pacer.reached(due + 0.1)
    assert pacer.missed_s == 0.0
    assert pacer.due(0.35) == pytest.approx(0.34) and pacer.missed_s == pytest.approx(0.04)
    assert pacer.due(0.35) == pytest.approx(0.34) and pacer.missed_s == pytest.approx(0.04)  # counted once


def test_an_exchange_that_takes_longer_than_its_price_misses_the_pace():
    pacer = Pacer(EIGHT, 0)
    assert pacer.overran(priced=0.2, really=0.1) == 0.2 and pacer.missed_s == 0.0
    assert pacer.overran(priced=0.2, really=0.5) == 0.5 and pacer.missed_s == pytest.approx(0.3)


def test_runs_on_the_other_clocks_miss_no_pace():
    assert lab.run(too_much, 2, progress=False).missed_s == [0.0, 0.0]
    assert lab.simulate(too_much, 2, cluster=EIGHT).missed_s == [0.0, 0.0]


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


FREE = lab.Cluster(latency_s=0.0, bandwidth_bytes_per_s=1e15)


def reducing(node, tensor):
    node.all_reduce(tensor)


def crossing(node, tensor):
    sending = node.isend(tensor, 1 - node.rank)
    node.recv(torch.empty_like(tensor), 1 - node.rank)
    sending.wait()


@pytest.mark.parametrize("transport", ["shm", "gloo"])
@pytest.mark.parametrize("exchange", [reducing, crossing])
def test_what_an_exchange_really_takes_is_not_forgiven(exchange, transport):
    """Whoever comes last into an exchange waits for nobody: what it takes there is the exchange's own."""

    def worker(node):
        took, tensor = [], torch.ones(400_000)
        for _ in range(40):
            with node.compute(seconds=0.02):
                pass
            began = node.now()
            exchange(node, tensor)
            took.append(node.now() - began)
        return took

    history = lab.run(worker, 2, cluster=FREE, transport=transport, progress=False)
    least = [min(pair) for pair in zip(*history.results, strict=True)]
    assert history.elapsed_s > 40 * 0.02 + 0.7 * sum(least)


class Clocked(Endpoint):
    """An endpoint on a clock of its own; each of its collectives takes 5 ms."""

    def __init__(self, cluster):
        super().__init__(0, 2, inbox=None, slot=None, board=None)
        self.time_s = 0.0
        self.pace(cluster)

    def now(self):
        return self.time_s

    def oversleep(self, seconds):
        self.time_s += seconds + 1e-3

    def _move(self, group, work):
        self._last_came, due = self.time_s, self._due_now()
        self.time_s += 0.005
        return due


@pytest.mark.parametrize(("latency_s", "step_s"), [(0.0, 0.025), (0.002, 0.025), (0.004, 0.028)])
def test_a_step_is_its_computing_and_the_longer_of_exchange_and_price(latency_s, step_s, monkeypatch):
    """A ring of two pays two latencies. Every sleep is 1 ms too long, and that does not add up."""
    here = Clocked(lab.Cluster(latency_s=latency_s, bandwidth_bytes_per_s=1e15))
    for room in (endpoint, posting):
        monkeypatch.setattr(room, "nap", here.oversleep)
    one, cost = torch.ones(1), even_work("all_reduce", 1, 2, 4)
    work = Collective("all_reduce", "sum", 0, one, one, (1, 0), "it", one, 1, cost)
    for _ in range(20):
        here.computed(here.computes("seconds", 0.02))
        here.collective(Group((0, 1), 0), work)
    assert 20 * step_s <= here.time_s < 20 * step_s + 3e-3


def pacer_that_came_late():
    pacer = Pacer(FREE, 0)
    pacer.reached(1.0)
    pacer.enters(1.003)  # it slept 3 ms too long
    return pacer


def test_oversleeping_before_a_call_is_forgiven_and_the_call_itself_is_not():
    pacer = pacer_that_came_late()
    assert pacer.worked(1.003) == pytest.approx(1.0)
    assert pacer.worked(1.008) == pytest.approx(1.005)
    pacer.enters(1.05)
    assert pacer.worked(1.05) == pytest.approx(1.04), "who is later than 10 ms does not catch up"


def test_a_message_takes_its_links_time_or_its_own_whichever_is_longer():
    pacer = pacer_that_came_late()
    free = {"head": 0.9, "sent": 0.9, "src": 1}
    assert pacer.taken(0.9, **free, now=1.005) == pytest.approx(1.002), "2 ms of fetching"
    assert pacer.taken(1.02, **free, now=1.022) == pytest.approx(1.02), "beside the link's 20 ms"
    late = {"head": 1.01, "sent": 1.014, "src": 1}  # its sender slept 4 ms too long
    assert pacer.taken(1.01, **late, now=1.015) == pytest.approx(1.011), "1 ms of fetching"


def test_clusters_of_another_size_and_no_clusters_are_refused():
    with pytest.raises(ValueError, match="3 entries for 2 nodes"):
        lab.run(synchronous, 2, cluster=lab.Cluster(speeds=[1, 2, 3]))
    with pytest.raises(TypeError, match="cluster must be a Cluster, got 3"):
        lab.run(synchronous, 2, cluster=3)


# what goes wrong in the cluster that is kept pace with


def test_random_times_and_stalls_are_those_of_the_simulation():
    cluster = lab.Cluster(latency_s=1e-3, jitter="exponential", seed=2, stalls={1: (4, 0.05)})
    predicted = lab.simulate(synchronous, 3, cluster=cluster)
    paced = lab.run(synchronous, 3, cluster=cluster, progress=False)
    assert paced.elapsed_s >= 0.99 * predicted.elapsed_s
    for rank in range(3):
        told, took = (
            h.spans[(h.spans["rank"] == rank) & (h.spans.kind == "compute")] for h in (predicted, paced)
        )
        ended = (took.end_s.to_numpy() - told.end_s.to_numpy()).min()
        assert len(told) == len(took) == 10 and ended > -0.011  # a late rank may catch up by 10 ms


def test_messages_within_a_host_are_faster():
    hosts = lab.Cluster(latency_s=0.2, host_size=2, host_latency_s=0.05)

    def worker(node):
        box = torch.zeros(1)
        if node.rank == 0:
            node.isend(box, 1)
            node.isend(box, 2)
        elif node.rank < 3:
            node.recv(box, 0)
        return node.now()

    _, near, far, _ = lab.run(worker, 4, cluster=hosts, progress=False).results
    assert 0.05 <= near < 0.2 <= far


def test_auto_says_in_each_span_which_algorithm_it_took():
    def worker(node):
        node.all_reduce(torch.zeros(1))

    cluster = lab.Cluster(algorithm="auto")
    runs = [lab.run(worker, 2, cluster=cluster, progress=False), lab.simulate(worker, 2, cluster=cluster)]
    assert [set(run.spans[run.spans.kind == "all_reduce"].label) for run in runs] == [{"sum by direct"}] * 2
    assert runs[0].messages_sent == runs[1].messages_sent == [1, 1]


def test_a_node_that_fails_ends_its_process_and_the_run_in_the_words_of_the_simulation():
    cluster = lab.Cluster(fails={1: 0.3})

    def worker(node):
        for _ in range(500):
            with node.compute(seconds=0.02):
                pass
            node.barrier()
            node.record(at=node.now())

    errors = []
    for start in (lab.simulate, lambda *args, **named: lab.run(*args, **named, progress=False)):
        with pytest.raises(lab.WorkerError, match="rank 1 was killed by SIGKILL") as caught:
            start(worker, 2, cluster=cluster)
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1]) and errors[1].rank == 1
    for error in errors:
        assert error.at_s == error.history.elapsed_s == 0.3 and error.killed
        assert error.history.spans["end_s"].max() <= 0.3
    assert 0 < len(errors[1].history.metrics) < 2 * 500


def test_a_node_that_has_returned_does_not_fail():
    def worker(node):
        if node.rank == 0:
            with node.compute(seconds=0.5):
                pass
        return node.rank

    assert lab.run(worker, 2, cluster=lab.Cluster(fails={1: 0.3}), progress=False).results == [0, 1]


def test_a_clock_that_goes_on_after_a_failure_is_not_late():
    pacer = Pacer(lab.Cluster(fails={0: 2.0}), 0, began_s=60.0)
    assert pacer.due(60.001) == 60.0 and pacer.missed_s == 0.0 and pacer.fails_s == 62.0


def test_of_a_span_in_which_its_node_dies_nothing_is_done(tmp_path):
    def worker(node):
        for span in range(3):
            with node.compute(seconds=0.2):
                (tmp_path / f"{node.rank}-{span}").touch()
            node.barrier()

    with pytest.raises(lab.WorkerError, match=r"fails=\{1: 0\.3\}"):
        lab.run(worker, 2, cluster=lab.Cluster(fails={1: 0.3}), progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-0", "0-1", "1-0"]


def test_spans_that_raise_are_counted_alike_on_both_clocks():
    def worker(node):
        for step in range(3):
            try:
                with node.compute(seconds=0.01):
                    assert step
            except AssertionError:
                pass
        return node.now()

    cluster = lab.Cluster(stalls={0: (3, 0.3)})
    paced, simulated = (
        run(worker, 1, cluster=cluster).results[0]
        for run in (lambda *args, **named: lab.run(*args, progress=False, **named), lab.simulate)
    )
    assert simulated == pytest.approx(0.32) and paced >= 0.32


def test_a_node_killed_by_hand_before_its_time_is_told_as_such():
    run = lab.start(stepping, 2, cluster=lab.Cluster(fails={1: 60.0}), progress=False)
    grows(run, 1)
    run.kill(1)
    with pytest.raises(lab.WorkerError, match=r"rank 1 was killed by SIGKILL \(by hand") as caught:
        run.wait()
    ((at_s, _, _),) = run.history.about["marks"]
    history = caught.value.history
    assert caught.value.killed and at_s <= caught.value.at_s == history.elapsed_s == run.history.elapsed_s
    assert history.metrics["time_s"].max() <= caught.value.at_s, "what the other did after that is left out"


# hands


def stepping(node):
    while True:
        with node.compute(seconds=0.01):
            time.sleep(0.01)
        node.record(at=node.now())


def rows(run, rank):
    return int((run.history.metrics["rank"] == rank).sum())


def grows(run, rank, by=2):
    """Wait until so many rows more have come from a rank."""
    before = rows(run, rank)
    wait_until(lambda: rows(run, rank) >= before + by, f"rank {rank} does not go on")


@pytest.fixture
def going():
    run = lab.start(stepping, 2, progress=False)
    grows(run, 1)
    yield run
    run.stop()


def test_slow_stretches_the_spans_of_one_rank_and_can_be_undone(going):
    def lengths():
        spans = going.history.spans
        last = spans[spans.kind == "compute"].groupby("rank").last()
        return (last.end_s - last.start_s).tolist()

    going.slow(1, 10)
    wait_until(lambda: lengths()[1] > 5 * lengths()[0])
    going.slow(1, 1)
    wait_until(lambda: lengths()[1] < 2 * lengths()[0])
    assert [mark[1:] for mark in going.history.about["marks"]] == [(1, "slow x10"), (1, "slow x1")]


def test_pause_holds_a_rank_and_resume_lets_it_go_on(going):
    going.pause(1)
    wait_until(lambda: is_stopped(going.pids[1]))
    grows(going, 0, 2)  # by now what rank 1 had sent has arrived
    held = rows(going, 1)
    grows(going, 0, 20)
    assert rows(going, 1) == held
    going.resume(1)
    grows(going, 1)
    assert [text for _, _, text in going.history.about["marks"]] == ["paused", "resumed"]


def test_kill_ends_the_run_and_names_the_rank(going):
    going.kill(1)
    with patience(), pytest.raises(lab.WorkerError, match="rank 1 was killed by SIGKILL"):
        going.wait()


def test_a_paused_rank_can_be_stopped(going):
    going.pause(0)
    with patience():
        going.stop()
    assert going.done


def test_hands_on_ranks_that_are_not_there_are_refused(going):
    for call in (going.pause, going.resume, going.kill, lambda rank: going.slow(rank, 2)):
        with pytest.raises(ValueError, match=r"rank 2: the ranks of this run are whole numbers 0 to 1"):
            call(2)
    for factor in 0.5, "2", math.nan:
        with pytest.raises(ValueError, match=rf"factor={factor!r}"):
            going.slow(1, factor)


def test_hands_act_while_ranks_still_load(tmp_path):
    """Nobody lets them finish to load."""
    run = lab.start(lambda node, _: None, 2, args=(Loading(tmp_path),), progress=False)
    run.slow(0, 2)
    run.kill(np.int64(1))
    with pytest.raises(lab.WorkerError, match="rank 1 was killed by SIGKILL"):
        run.wait()
    assert run.history.about["marks"] == [(0.0, 0, "slow x2"), (0.0, 1, "killed")]


def test_a_kill_is_in_sight_on_the_timeline_though_the_last_records_went_with_it():
    def worker(node):
        with node.compute(seconds=0.001):
            pass
        node.record(at=1)
        time.sleep(AGES_S)

    run = lab.start(worker, 2, progress=False)
    wait_until(lambda: len(run.history.metrics) == 2)
    run.kill(1)
    with pytest.raises(lab.WorkerError) as caught:
        run.wait()
    assert "killed" in [text.get_text() for text in caught.value.history.plot_timeline().axes[0].texts]
