"""``simulate`` and ``Simulation``: results, errors, slices, ends, and what they leave behind."""

import gc
import random
import signal
import sys
import threading
import time
import warnings
import weakref

import numpy as np
import pytest
import torch
from waiting import patience

import ddl_lab as lab
from ddl_lab.cluster.model import Cluster
from ddl_lab.errors import WorkerError
from ddl_lab.history.history import History
from ddl_lab.virtual import simulation as virtual
from ddl_lab.virtual.simulation import Simulation, simulate


def work(node, seconds):
    with node.compute(seconds=seconds):
        pass


def train(node, steps=4):
    """A little of everything: global random states, arithmetic, a collective, messages, metrics."""
    weights = torch.randn(50, generator=torch.Generator().manual_seed(0))
    for step in range(steps):
        with node.compute(samples=1 + random.randrange(20)):
            gradient = torch.randn(50) * np.random.rand() + weights
        node.all_reduce(gradient, op="mean")
        weights -= 0.1 * gradient
        told = node.isend(weights, (node.rank + 1) % node.world_size, tag=step)
        node.recv(torch.empty(50), tag=step)
        told.wait()
        node.record(loss=weights.norm(), step_twice=2 * step)
    return weights


def same(one, other):
    """Whether two histories are equal to the bit."""
    return (
        all(torch.equal(a, b) for a, b in zip(one.results, other.results, strict=True))
        and one.spans.equals(other.spans)
        and one.metrics.equals(other.metrics)
        and one.finished_s == other.finished_s
        and one.bytes_sent == other.bytes_sent
    )


@pytest.fixture
def kept():
    """A list that all nodes and the test share: a worker reaches it by sys.modules["kept"]."""
    sys.modules["kept"] = shared = []
    yield shared
    del sys.modules["kept"]


# what comes back


def test_the_history_is_on_the_virtual_clock_and_says_who_finished_when():
    def worker(node, power):
        work(node, node.rank)
        return node.rank**power

    history = simulate(worker, 3, args=(2,))
    assert history.clock == "virtual" and history.results == [0, 1, 4]
    assert history.finished_s == {0: 0.0, 1: 1.0, 2: 2.0} and history.elapsed_s == 2.0


def test_a_cluster_charges_samples_flops_and_seconds_and_the_slow_factor():
    cluster = Cluster(speeds=lab.geometric(0.5, first=8.0), flops_per_s=4.0, slow={1: 3.0})

    def worker(node):
        times = [node.now()]
        for unit in ({"samples": 8}, {"flops": 8}, {"seconds": 8}):
            with node.compute(**unit):
                assert node.now() == times[-1]  # inside a span the virtual clock stands still
            times.append(node.now())
        return np.diff(times).tolist()

    assert simulate(worker, 2, cluster=cluster).results == [[1.0, 2.0, 8.0], [6.0, 6.0, 24.0]]


def test_two_simulations_are_equal_to_the_bit():
    cluster = Cluster(speeds=lab.geometric(0.9))
    assert same(simulate(train, 5, cluster=cluster), simulate(train, 5, cluster=cluster))


def test_what_a_worker_captures_is_each_nodes_own_copy():
    seen, model = [], lab.make_model(seed=1)
    before = lab.parameters(model).clone()

    def worker(node):
        for _ in range(3):
            seen.append(node.rank)
            lab.parameters(model).add_(1.0 + node.rank)
            node.barrier()
        return list(seen), lab.parameters(model)[0].item() - before[0].item()

    results = simulate(worker, 2).results
    assert [r[0] for r in results] == [[0] * 3, [1] * 3]
    assert [r[1] for r in results] == pytest.approx([3.0, 6.0], rel=1e-5)
    assert seen == [] and torch.equal(lab.parameters(model), before)


def test_results_of_any_kind_come_back_as_the_callers():
    class Point:
        def __init__(self, x):
            self.x = x

    def worker(node):
        return Point(node.rank), {"weights": torch.ones(2, requires_grad=True)}

    for rank, (point, named) in enumerate(simulate(worker, 2).results):
        assert type(point) is Point and point.x == rank and named["weights"].requires_grad


def test_nodes_have_random_states_of_their_own_and_the_callers_stay():
    def states():
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()

    def worker(node):
        drawn = []
        for _ in range(3):
            drawn.append((torch.rand(1).item(), random.random(), np.random.rand()))
            node.barrier()
        return drawn

    before = states()
    together, alone = simulate(worker, 3).results, simulate(worker, 1).results
    assert states() == before
    assert together[0] == alone[0] and together[0] != together[1]


def test_modes_threads_and_dtype_belong_to_the_node_and_the_callers_stay():
    def worker(node):
        told = [torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype()]
        torch.set_default_dtype(torch.float64 if node.rank else torch.float32)
        with torch.set_grad_enabled(node.rank == 0):
            node.barrier()
            told += [torch.is_grad_enabled(), torch.get_default_dtype()]
        return told

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.no_grad():
            results = simulate(worker, 2).results
            assert not torch.is_grad_enabled() and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.get_default_dtype() == torch.float32
    assert results[0] == [True, 1, torch.float32, True, torch.float32]
    assert results[1] == [True, 1, torch.float32, False, torch.float64]


CAPTURED = lab.make_model(seed=0)


def forward(x):
    return CAPTURED(x)


def notes_its_models(node):
    """Its globals hold CAPTURED, and a function that holds these globals: a cycle."""
    made = lab.make_model(seed=0)
    sys.modules["kept"] += [weakref.ref(made), weakref.ref(CAPTURED)]
    node.record(alive=sum(ref() is not None for ref in sys.modules["kept"]))
    return forward(torch.zeros(1, 784)).item()


def test_a_worker_that_has_returned_lets_go_of_its_models(kept):
    gc.disable()
    try:
        history = simulate(notes_its_models, 5)
        assert history.metrics.alive.tolist() == [2.0] * 5 and len(kept) == 10
        assert not any(ref() for ref in kept)
    finally:
        gc.enable()
    assert len(set(history.results)) == 1 and forward(torch.zeros(1, 784)).item() == history.results[0]


# errors


def test_a_worker_that_raises_is_told_with_its_rank_its_lines_and_the_history():
    def helper(node):
        raise ZeroDivisionError("here") if node.rank == 2 else KeyError(node.rank)

    def worker(node):
        node.record(loss=0.5)
        node.barrier()
        if node.rank >= 1:
            work(node, 10 - node.rank)
            helper(node)
        node.barrier()

    with pytest.raises(WorkerError, match="rank 2 raised ZeroDivisionError: here") as caught:
        simulate(worker, 3)
    assert caught.value.rank == 2, "the first in virtual time is told"
    lines = str(caught.value).splitlines()
    assert "test_simulation.py" in lines[1] and lines[1].endswith("in worker")
    assert lines[3].endswith("in helper") and len(lines) == 5, "the learner's frames and no others"
    assert caught.value.history.metrics.loss.tolist() == [0.5] * 3


def test_of_two_errors_at_one_instant_the_lower_rank_is_told():
    def worker(node):
        work(node, 1)
        raise RuntimeError

    with pytest.raises(WorkerError) as caught:
        simulate(worker, 3)
    assert caught.value.rank == 0


@pytest.mark.parametrize("leave", [sys.exit, lambda: sys.exit(3), lambda: exec("raise GeneratorExit")])
def test_a_worker_that_leaves_the_program_is_an_error_of_the_worker(leave):
    with pytest.raises(WorkerError, match=r"rank 0 raised (SystemExit|GeneratorExit)"):
        simulate(lambda node: leave(), 2)


def test_a_result_that_cannot_be_sent_is_named():
    with pytest.raises(WorkerError, match=r"rank 0 returned.*lock") as caught:
        simulate(lambda node: [threading.Lock()], 2)
    assert caught.value.rank == 0


def test_finally_blocks_run_when_another_node_fails_and_may_fail_themselves(kept):
    def worker(node):
        if node.rank == 1:
            work(node, 1)
            raise ValueError("mine")
        try:
            with torch.no_grad():
                node.recv(torch.zeros(1))
        finally:
            sys.modules["kept"].append((node.rank, torch.is_grad_enabled()))
            node.barrier()  # a second call after the end is ended as well

    with warnings.catch_warnings(), pytest.raises(WorkerError, match="rank 1 raised ValueError: mine"):
        warnings.simplefilter("error")
        simulate(worker, 4)
    assert kept == [(0, True), (2, True), (3, True)]


def test_what_happens_at_the_instant_of_an_error_is_still_recorded():
    def worker(node):
        if node.rank == 0:
            work(node, 11)
            raise ValueError
        if node.rank == 1:
            node.recv(torch.zeros(1), 2)
            node.record(came=node.now())
        else:
            node.send(torch.zeros(1), 1)

    with pytest.raises(WorkerError) as caught:
        simulate(worker, 3, cluster=Cluster(latency_s=10.0, bandwidth_bytes_per_s=4.0))
    assert caught.value.history.metrics.came.tolist() == [11.0]


def test_a_worker_that_catches_everything_does_not_hold_up_the_end():
    def worker(node):
        if node.rank == 1:
            work(node, 1)
            raise ValueError("mine")
        while True:
            try:
                node.barrier()
            except BaseException:
                continue

    told = pytest.warns(UserWarning, match="rank 0 could not be ended: its except catches all")
    with told, pytest.raises(WorkerError, match="mine"):
        simulate(worker, 2)
    assert simulate(train, 2).results


def test_an_interrupt_ends_all_nodes_and_carries_the_history():
    def worker(node):
        for step in range(100_000):
            node.record(step_twice=2 * step)
            if node.rank == 1 and step == 20:
                signal.raise_signal(signal.SIGINT)
            node.barrier()

    with pytest.raises(KeyboardInterrupt) as caught:
        simulate(worker, 3)
    assert caught.value.history.metrics["step"].max() == 20
    assert simulate(train, 2).results, "the next simulation works"


# slices


def test_a_simulation_in_slices_is_the_whole():
    whole, parts = simulate(train, 4), Simulation(train, 4)
    slices, rows = 0, [0]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    while not parts.advance(0.0):
        slices += 1
        rows.append(len(parts.history.metrics))
        assert torch.equal(torch.get_rng_state(), state) and torch.is_grad_enabled()
        torch.rand(3)  # what the caller draws between slices is nobody's concern
        state = torch.get_rng_state()
    assert slices > 20 and rows == sorted(rows) and parts.finished
    assert same(whole, parts.history)
    assert parts.advance() is True


def test_slices_of_two_simulations_may_take_turns():
    whole = simulate(train, 4)
    pair = [Simulation(train, 4), Simulation(train, 4)]
    while sum(simulation.advance(0.0) for simulation in pair) < 2:
        pass
    assert same(whole, pair[0].history) and same(whole, pair[1].history)


def test_a_slice_takes_its_budget_and_ends():
    def worker(node):
        while True:
            node.barrier()

    with Simulation(worker, 8) as simulation:
        start = time.perf_counter()
        with patience():
            assert not simulation.advance(0.05)
        assert time.perf_counter() - start >= 0.05
        assert simulation.now_s > 0


def endless(node):
    try:
        while True:
            node.record(at=node.now())
            node.barrier()
    finally:
        sys.modules["kept"].append(node.rank)


def endless_one(nodes):
    """A simulation in which every node is under way, however busy the machine is."""
    simulation = Simulation(endless, nodes)
    while len(simulation.history.metrics) < 2 * nodes:
        simulation.advance(0.0)
    return simulation


def test_closing_early_ends_all_nodes_and_keeps_the_history(kept):
    simulation = endless_one(3)
    simulation.close()
    simulation.close()
    assert kept == [0, 1, 2] and len(simulation.history.metrics) > 3
    with pytest.raises(RuntimeError, match="closed before its end"):
        simulation.advance()


def test_a_simulation_that_is_dropped_ends_its_nodes(kept):
    simulation = endless_one(3)
    del simulation
    assert kept == [0, 1, 2]


def test_a_simulation_dropped_in_a_thread_is_ended_by_the_next(kept):
    box = [endless_one(2)]
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert kept == []
    simulate(train, 2)
    assert kept == [0, 1]


def test_an_unfinished_simulation_does_not_stand_in_the_way(kept):
    unfinished = endless_one(2)
    assert simulate(lambda node: node.rank, 2).results == [0, 1]
    unfinished.close()


def test_a_simulation_inside_a_worker_is_refused():
    def worker(node):
        simulate(lambda node: 0, 2)

    with pytest.raises(WorkerError, match="simulate inside a simulation: a worker is one node"):
        simulate(worker, 2)


def test_a_simulation_in_a_thread_is_refused_in_words():
    told = []

    def go():
        try:
            simulate(lambda node: 0, 2)
        except RuntimeError as error:
            told.append(str(error))

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    assert "simulate in a thread" in told[0] and "in slices" in told[0]


def test_progress_is_shown_and_changes_nothing(monkeypatch):
    shown = []

    class Line:
        def __init__(self, nodes):
            shown.append(nodes)

        def update(self, recorders, elapsed_s, finished):
            shown.append((len(recorders), elapsed_s, finished))

        def close(self, history):
            assert isinstance(history, History)
            shown.append("closed")

    monkeypatch.setattr(virtual, "Progress", Line)
    monkeypatch.setattr(virtual, "SLICE_S", 0.0)
    assert same(simulate(train, 3, progress=True), simulate(train, 3))
    assert shown[0] == 3 and shown[-1] == "closed" and shown[1][0] == 3 and len(shown) > 10
    with pytest.raises(WorkerError):
        simulate(lambda node: 1 / 0, 2, progress=True)
    assert shown[-1] == "closed"


def test_a_worker_prints_where_its_caller_does(capsys):
    simulate(lambda node: print("rank", node.rank), 2)
    assert capsys.readouterr().out == "rank 0\nrank 1\n"


# what a cluster lets go wrong


def rounds_of(node, count=10):
    for step in range(count):
        work(node, 1.0)
        node.record(at=node.now(), round=step)
        node.barrier()


def test_a_node_that_fails_ends_the_run_as_a_killed_process_does():
    cluster = Cluster(latency_s=0.0, fails={1: 2.5})
    with pytest.raises(
        WorkerError, match=r"^rank 1 was killed by SIGKILL, .* fails=\{1: 2\.5\}\.$"
    ) as caught:
        simulate(rounds_of, 3, cluster=cluster)
    assert caught.value.rank == 1
    rows = caught.value.history.metrics
    assert rows[rows["rank"] == 1]["at"].tolist() == [1.0, 2.0], "it did nothing after its time"


def test_a_node_fails_in_a_span_that_others_do_not_wait_for():
    def worker(node):
        work(node, 3.0 if node.rank else 100.0)
        return node.rank

    with pytest.raises(WorkerError, match="rank 0 was killed") as caught:
        simulate(worker, 2, cluster=Cluster(fails={0: 50.0}))
    assert caught.value.history.finished_s == {1: 3.0}


def test_a_node_that_has_returned_does_not_fail():
    history = simulate(rounds_of, 3, cluster=Cluster(latency_s=0.0, fails={1: 10.5, 2: 99.0}))
    assert history.elapsed_s == 10.0


def test_nodes_that_wait_for_each_other_are_a_deadlock_and_no_failure():
    def worker(node):
        node.recv(torch.zeros(1), 1 - node.rank)

    with pytest.raises(lab.DeadlockError, match=r"rank 0 waits in recv\(src=1"):
        simulate(worker, 2, cluster=Cluster(fails={0: 5.0, 1: 6.0}))


def test_the_first_of_two_failures_is_told():
    with pytest.raises(WorkerError, match="rank 2 was killed"):
        simulate(rounds_of, 3, cluster=Cluster(fails={1: 5.0, 2: 4.0}))


def test_a_failure_ends_a_simulation_in_slices_too():
    with Simulation(rounds_of, 3, Cluster(fails={1: 2.5})) as simulation, pytest.raises(WorkerError):
        while not simulation.advance(0.0):
            pass


RANDOM = Cluster(jitter="exponential", seed=4, stalls={2: (3, 0.5)})


def test_random_times_are_the_same_in_slices_and_in_one():
    parts = Simulation(train, 4, RANDOM)
    while not parts.advance(0.0):
        pass
    assert same(simulate(train, 4, cluster=RANDOM), parts.history)
    assert not simulate(train, 4).spans.equals(parts.history.spans)


def test_random_times_of_a_rank_do_not_depend_on_what_it_sends():
    def quiet(node):
        for _ in range(5):
            work(node, 1.0)

    def loud(node):
        for _ in range(5):
            node.barrier()
            work(node, 1.0)

    def lengths(worker, nodes):
        spans = simulate(worker, nodes, cluster=RANDOM).spans
        mine = spans[(spans["rank"] == 1) & (spans.kind == "compute")]
        return (mine.end_s - mine.start_s).tolist()

    assert lengths(quiet, 3) == pytest.approx(lengths(loud, 7))


def test_auto_says_in_each_span_which_algorithm_it_took():
    def worker(node):
        node.all_reduce(torch.zeros(1))
        node.all_reduce(torch.zeros(10_000_000), op="mean")
        node.barrier()

    history = simulate(worker, 8, cluster=Cluster(algorithm="auto"))
    labels = history.spans[(history.spans["rank"] == 3) & (history.spans.bytes >= 0)].label.tolist()
    assert labels == ["sum by direct", "mean by ring", "by direct"]
    assert history.messages_sent == [7 + 14 + 7] * 8


# loops without an end


def barriers(node):
    while True:
        node.barrier()


def spans(node):
    while True:
        work(node, 1.0)


def messages(node):
    tensor = torch.zeros(1)
    while True:
        if node.rank:
            node.send(tensor, 0)
        else:
            node.recv(tensor)


def looks(node):
    handle = node.irecv(torch.zeros(1), 1 - node.rank)
    while not handle.done():
        pass


@pytest.mark.parametrize("worker", [barriers, spans, messages, looks])
def test_a_loop_without_an_end_is_stopped_in_words(worker):
    told = r"stopped after 2,000 events, at .* virtual seconds: .*simulate\(…, max_events=20000\)"
    with pytest.raises(lab.StoppedRun, match=told) as caught:
        simulate(worker, 2, max_events=2000)
    assert caught.value.history.nodes == 2
    assert simulate(train, 2).results, "the next simulation works"


def test_more_events_may_be_allowed_and_bad_limits_are_refused():
    few = len(simulate(rounds_of, 2).spans)
    with pytest.raises(lab.StoppedRun):
        simulate(rounds_of, 2, max_events=few)
    assert simulate(rounds_of, 2, max_events=10 * few).results == [None, None]
    with pytest.raises(ValueError, match="max_events=0: it takes a whole number from 1 up"):
        simulate(rounds_of, 2, max_events=0)


@pytest.mark.parametrize("call", ["run", "start"])
def test_a_run_inside_a_simulated_worker_is_refused(call):
    def worker(node):
        getattr(lab, call)(lambda node: 0, 2)

    with pytest.raises(WorkerError, match="run inside a simulation: a worker is one node"):
        simulate(worker, 2)
