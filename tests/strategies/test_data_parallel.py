"""Data parallelism: the one process it equals, in both engines; bytes and messages; who is waited for."""

import ast
import inspect
from collections import namedtuple
from functools import partial

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.strategies import data_parallel as package
from ddl_lab.strategies.data_parallel import (
    accumulating_parallel,
    data_parallel,
    warmed_up,
    weighted_parallel,
    with_backups,
)
from ddl_lab.training.data import Split

Seat = namedtuple("Seat", "rank world_size")
DIGITS = lab.load_digits().train


def first(count):
    """These digits, as a class of the package: ranks would import this module for one of its own."""
    return Split(DIGITS.x[:count], DIGITS.y[:count], DIGITS.labels[:count], "first")


DATA, ODD = first(600), first(601)  # 601: shares of unequal sizes on 2 to 5 nodes
NODES = range(1, 6)
RUN = partial(lab.run, progress=False, timeout_s=60)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
}
engines = pytest.mark.parametrize("engine", ENGINES)
# over gloo with three: that its calls do the same on any number of nodes, tests/engines holds
engines_and_nodes = pytest.mark.parametrize(
    ("engine", "nodes"), [(e, n) for e in ENGINES for n in NODES if e != "gloo" or n == 3]
)
FREE = lab.Cluster(speeds=1.0, jitter="exponential", latency_s=0.0, bandwidth_bytes_per_s=1e15)
P = 201_217


def gradient(model, x, y):
    return lab.gradient(lab.bce_with_logits(model(x), y), model)


def steps_of(data, ranks, batch_size, epochs):
    """The batches of all ranks, step by step, in rank order."""
    for epoch in range(epochs):
        yield from zip(
            *[lab.batches(data, Seat(r, ranks), batch_size, epoch) for r in range(ranks)], strict=True
        )


def in_one_process(node, data, ranks, batch_size=50, epochs=2, lr=0.1, every=1, weighted=False):
    """The course's yardstick: accumulate, divide, step."""
    model, group = lab.make_model(seed=0), []
    for step in steps_of(data, ranks, batch_size, epochs):
        group += step
        if len(group) == ranks * every:
            if weighted:
                x, y = (torch.cat(part) for part in zip(*group, strict=True))
                lab.sgd_step(model, gradient(model, x, y), lr)
            else:
                lab.sgd_step(model, sum(gradient(model, x, y) for x, y in group) / len(group), lr)
            group = []
    return lab.parameters(model)


def alone(*args, **options):
    return lab.simulate(partial(in_one_process, **options), 1, args=args).results[0]


def distance(one, other):
    return ((one - other).norm() / other.norm()).item()


@engines_and_nodes
def test_it_equals_one_process_that_accumulates_in_rank_order(engine, nodes):
    expected = alone(DATA, nodes)
    results = ENGINES[engine](data_parallel, nodes, args=(DATA, 50, 2)).results
    assert all(torch.equal(result, results[0]) for result in results)
    assert distance(results[0], expected) < 1e-6
    if engine != "gloo":  # which adds in an order of its own
        assert torch.equal(results[0], expected)


@pytest.mark.parametrize("nodes", NODES)
def test_it_equals_one_batch_of_n_times_the_size_up_to_rounding(nodes):
    parallel = lab.simulate(data_parallel, nodes, args=(DATA, 600 // nodes // 3, 2)).results[0]
    large = lab.simulate(data_parallel, 1, args=(DATA, 600 // nodes // 3 * nodes, 2)).results[0]
    assert distance(parallel, large) < 1e-6


@engines_and_nodes
def test_unequal_shares_are_weighted_by_their_samples(engine, nodes):
    expected = alone(ODD, nodes, 50, 2, 0.5, weighted=True)
    results = ENGINES[engine](weighted_parallel, nodes, args=(ODD, 50, 2, 0.5)).results
    assert all(distance(result, expected) < 1e-6 for result in results)
    if nodes > 1:  # the plain mean isn't that, or this test would see nothing
        plain = lab.simulate(data_parallel, nodes, args=(ODD, 50, 2, 0.5)).results[0]
        assert distance(plain, expected) > 1e-6


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize(
    ("worker", "args"),
    [(data_parallel, (50, 1)), (weighted_parallel, (50, 1)), (accumulating_parallel, (2, 25, 1))],
)
def test_processes_and_simulation_send_the_same_and_get_the_same_bits(worker, args, nodes):
    real, virtual = (engine(worker, nodes, args=(ODD, *args)) for engine in (RUN, lab.simulate))
    assert all(torch.equal(a, b) for a, b in zip(real.results, virtual.results, strict=True))
    assert real.metrics.loss.equals(virtual.metrics.loss)
    assert (real.bytes_sent, real.messages_sent) == (virtual.bytes_sent, virtual.messages_sent)


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_a_step_sends_the_rings_bytes_and_messages(nodes):
    history = lab.simulate(data_parallel, nodes, args=(first(400), 25, 1))
    steps = 400 // nodes // 25
    assert sum(history.messages_sent) == steps * nodes * 2 * (nodes - 1)
    assert sum(history.bytes_sent) == steps * 2 * (nodes - 1) * 4 * P


def test_nobody_leaves_a_step_before_the_last_has_come():
    spans = lab.simulate(data_parallel, 4, args=(DATA, 50, 1), cluster=FREE).spans
    spans = spans.assign(step=spans.groupby(["rank", "kind"]).cumcount())
    last_in = spans[spans.kind == "compute"].groupby("step").end_s.max()
    first_out = spans[spans.kind == "all_reduce"].groupby("step").end_s.min()
    assert len(last_in) == 3 and (first_out >= last_in).all()


@engines_and_nodes
def test_accumulating_gives_the_same_numbers_for_fewer_messages(engine, nodes):
    run = ENGINES[engine]
    sparse = run(accumulating_parallel, nodes, args=(DATA, 2, 25, 2))
    often = run(accumulating_parallel, nodes, args=(DATA, 2, 25, 2, 0.1, False))
    steps = -(-600 // (25 * nodes)) // 2 * 2
    for result in sparse.results + often.results:
        assert torch.equal(result, sparse.results[0]) or distance(result, sparse.results[0]) < 1e-6
    assert sparse.messages_sent[0] == steps * 2 * (nodes - 1)
    left_over = -(-600 // (25 * nodes)) % 2 * 2 * 2 * (nodes - 1)  # exchanged, and never part of a step
    assert often.messages_sent[0] == 2 * sparse.messages_sent[0] + left_over


def test_accumulating_equals_the_larger_batch():
    found = lab.simulate(accumulating_parallel, 2, args=(DATA, 3, 50, 2)).results[0]
    assert distance(found, alone(DATA, 2, 50, 2, every=3)) < 1e-6


def test_a_warm_up_climbs_from_lr_to_its_multiple_and_stays():
    assert [warmed_up(step, 8, 4) for step in (0, 2, 4, 9)] == pytest.approx([0.1, 0.45, 0.8, 0.8])
    assert warmed_up(0, 8, 0) == pytest.approx(0.8)


@engines
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_without_backups_it_is_data_parallelism(engine, workers):
    expected = alone(ODD, workers, 50, 1)
    steps = len(list(steps_of(ODD, workers, 50, 1)))
    found = ENGINES[engine](with_backups, workers + 1, args=(ODD, steps, 0)).results
    assert found[1:] == [None] * workers
    assert torch.equal(found[0], expected)


@engines
def test_with_backups_it_goes_on_without_the_slowest(engine):
    slow = lab.Cluster(speeds=2_000.0, slow={3: 40.0}, latency_s=0.0, bandwidth_bytes_per_s=1e12)
    history = ENGINES[engine](with_backups, 4, args=(DATA, 8, 1), cluster=slow)
    trained = history.metrics.groupby("rank").size()
    assert trained[0] == 8 and trained[1] == trained[2] == 8  # rank 0's rows are its steps
    assert trained[3] <= 2
    assert history.results[0].isfinite().all()


def test_late_gradients_are_not_used():
    """Worker 3 of 3 is always late: what remains is the training of workers 1 and 2 alone."""
    slow = lab.Cluster(speeds=1_000.0, slow={3: 1000.0}, latency_s=0.0, bandwidth_bytes_per_s=1e15)
    found = lab.simulate(with_backups, 4, args=(DATA, 3, 1), cluster=slow).results[0]
    model = lab.make_model(seed=0)
    shares = [lab.batches(DATA, Seat(rank, 3), 50) for rank in (0, 1)]
    for step, _ in zip(zip(*shares, strict=True), range(3), strict=False):
        lab.sgd_step(model, sum(gradient(model, x, y) for x, y in step) / 2, 0.1)
    assert distance(found, lab.parameters(model)) < 1e-6


@pytest.mark.parametrize("backups", [-1, 3, 4])
def test_a_step_that_waits_for_nobody_is_refused(backups):
    with pytest.raises(lab.WorkerError, match="it takes 0 or more, and fewer than workers"):
        lab.simulate(with_backups, 4, args=(DATA, 1, backups))


# the lab's own

CELLS = ("s05-setup", "s05-worker", "s05-accumulate", "s05-rate", "s05-fewer", "s05-backup")


@pytest.fixture(scope="module")
def by_hand():
    names = defined("05", *CELLS)
    names["python"].close()
    return names


def same(ours, theirs):
    assert all(torch.equal(a, b) for a, b in zip(ours.results, theirs.results, strict=True))
    assert (ours.bytes_sent, ours.messages_sent) == (theirs.bytes_sent, theirs.messages_sent)


@pytest.mark.parametrize("engine", ["simulate", "shm"])
def test_the_labs_worker_and_the_packages_agree_to_the_bit(by_hand, engine):
    ours = ENGINES[engine](by_hand["worker"], 4, args=(50, 1))
    same(ours, ENGINES[engine](data_parallel, 4, args=(DIGITS, 50, 1)))
    one = ENGINES[engine](by_hand["accumulate"], 1, args=(4, 50, 1)).results[0]
    assert torch.equal(one, ours.results[0])


@pytest.mark.parametrize("engine", ["simulate", "shm"])
@pytest.mark.parametrize("skip", [True, False])
def test_the_labs_accumulation_and_the_packages_agree_to_the_bit(by_hand, engine, skip):
    ours = ENGINES[engine](by_hand["sparing"], 4, args=(4, skip))
    theirs = ENGINES[engine](accumulating_parallel, 4, args=(DIGITS, 4, 25, 1, 0.1, skip))
    same(ours, theirs)


def test_the_labs_learning_rates_are_the_packages(by_hand):
    rate = by_hand["rate"]
    for step in (0, 1, 19, 20, 50):
        assert rate("warm-up", step, 4, 0.2, 20) == pytest.approx(warmed_up(step, 4, 20, 0.2))
    assert (rate("constant", 3, 4, 0.2, 20), rate("linear", 3, 4, 0.2, 20)) == (0.2, 0.8)


@pytest.mark.parametrize("backups", [0, 1, 3])
def test_the_labs_backups_take_the_packages_steps(by_hand, backups):
    ours = lab.simulate(by_hand["first_come"], 7, args=(12, backups), cluster=FREE).metrics
    theirs = lab.simulate(with_backups, 7, args=(DATA, 12, backups, 1), cluster=FREE).metrics
    theirs = theirs[theirs["rank"] == 0]
    assert list(ours.used) == list(theirs.used) == [6 - backups] * 12
    assert list(ours.time_s) == pytest.approx(list(theirs.time_s), abs=1e-5)


def test_the_labs_backups_take_the_packages_steps_in_processes_too(by_hand):
    ours = RUN(by_hand["first_come"], 5, args=(12, 1)).metrics
    theirs = RUN(with_backups, 5, args=(DATA, 12, 1)).metrics
    theirs = theirs[theirs["rank"] == 0]
    assert list(ours.used) == list(theirs.used) == [3] * 12


@pytest.mark.parametrize("name", ["worker", "accumulate", "scaled", "sparing", "first_come"])
def test_a_worker_of_the_lab_is_at_most_25_lines(by_hand, name):
    assert len(inspect.getsource(by_hand[name]).splitlines()) <= 25


@pytest.mark.parametrize("name", ["data_parallel", "weighted_parallel", "accumulating_parallel"])
def test_a_worker_of_the_package_has_at_most_25_lines_besides_its_docstring(name):
    body = ast.parse(inspect.getsource(getattr(package, name))).body[0].body
    assert body[-1].end_lineno - body[0].end_lineno <= 25
