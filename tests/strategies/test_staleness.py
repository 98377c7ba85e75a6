"""Asynchronous servers: what they equal, how stale their gradients are, what a bound holds, what is sent."""

import inspect
import math
from itertools import repeat
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.strategies import staleness as package
from ddl_lab.strategies.parameter_server import parameter_server
from ddl_lab.training.shards import endless

DATA = lab.load_digits().train
P = 201_217
FAST = {"latency_s": 1e-5, "bandwidth_bytes_per_s": 1e11}
RANDOM = lab.Cluster(**FAST, jitter="exponential", seed=1)
ENGINES = {
    "simulated": lambda worker, nodes, args: lab.simulate(worker, nodes, cluster=RANDOM, args=args),
    "processes": lambda worker, nodes, args: lab.run(worker, nodes, args=args, progress=False, timeout_s=60),
}
STRATEGIES = (package.synchronous, package.asynchronous, package.bounded)
engines = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(autouse=True)
def one_thread():
    """As the nodes compute: with several, a matrix product adds in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# 1,003 digits: over two or more workers some batches are one digit larger than others
UNEVEN = SimpleNamespace(x=DATA.x[:1003].clone(), y=DATA.y[:1003].clone())


class Place(NamedTuple):
    """A node, as far as sharding goes."""

    rank: int
    world_size: int


def accumulated(workers, updates, data=DATA, lr=0.1):
    """One process: in each round the workers' gradients, added in rank order, are one step."""
    model = lab.make_model(seed=0)

    streams = [endless(data, Place(rank, workers), 50) for rank in range(workers)]
    for _ in range(-(-updates // workers)):
        total = torch.zeros(P)
        for x, y in (next(stream) for stream in streams):
            total += lab.gradient(lab.bce_with_logits(model(x), y), model)
        lab.sgd_step(model, total, lr)
    return lab.parameters(model)


def tick(node, serve, updates, *more):
    """A model of two numbers, where only order and time count."""
    model = torch.nn.Linear(1, 1)
    if node.rank == 0:
        return serve(node, model, updates, 0.1, *more)
    return package.work(node, model, repeat((torch.zeros(1, 1), torch.zeros(1, 1))))


def seconds(jitter="exponential", seed=3, **more):
    return lab.Cluster(speeds=1.0, latency_s=0, bandwidth_bytes_per_s=1e15, jitter=jitter, seed=seed, **more)


# values


@engines
@pytest.mark.parametrize("nodes", [2, 3, 4, 5])
def test_synchronous_and_a_bound_of_0_equal_one_process_to_the_bit(engine, nodes):
    expected = accumulated(nodes - 1, 24, UNEVEN)
    for strategy, more in ((package.synchronous, ()), (package.bounded, (50, 0.1, 0))):
        theta = ENGINES[engine](strategy, nodes, (UNEVEN, 24, *more)).results[0]
        assert torch.equal(theta, expected), strategy.__name__


def replayed(rows, workers, lr=0.1):
    """One process, told who was applied when: each gradient at the parameters that its worker had read."""
    model = lab.make_model(seed=0)
    streams = [endless(UNEVEN, Place(rank, workers), 50) for rank in range(workers)]
    version, read = 0, {0: lab.parameters(model).clone()}
    for _, together in rows.groupby("time_s"):
        total = torch.zeros(P)
        for worker, staleness in zip(together.worker, together.staleness, strict=True):
            lab.parameters(model).copy_(read[version - int(staleness)])
            x, y = next(streams[int(worker) - 1])
            total += lab.gradient(lab.bce_with_logits(model(x), y), model)
        lab.parameters(model).copy_(read[version])
        lab.sgd_step(model, total, lr)
        version += len(together)
        read[version] = lab.parameters(model).clone()
    return read[version]


@pytest.mark.parametrize(
    ("engine", "strategy", "bound"),
    [
        ("simulated", package.asynchronous, ()),
        ("processes", package.asynchronous, ()),
        ("simulated", package.bounded, (1,)),
        ("simulated", package.bounded, (3,)),
    ],
)
@pytest.mark.parametrize("nodes", [2, 3, 4, 5])
def test_stale_gradients_of_unequal_shards_equal_one_process_that_is_told_who_came(
    engine, strategy, bound, nodes
):
    run = ENGINES[engine](strategy, nodes, (UNEVEN, 24, 50, 0.1, *bound))
    assert nodes == 2 or run.metrics.staleness.any()
    assert torch.equal(run.results[0], replayed(run.metrics, nodes - 1))


@pytest.mark.parametrize("nodes", [3, 5])
def test_a_bound_holds_in_processes_too(nodes):
    run = ENGINES["processes"](package.bounded, nodes, (UNEVEN, 24, 50, 0.1, 1))
    assert 24 <= len(run.metrics) < 24 + nodes - 1 and run.metrics.gap.max() <= 1
    assert run.metrics.loss.iloc[-6:].mean() < run.metrics.loss.iloc[:2].mean()


@engines
def test_it_is_the_parameter_server_with_a_learning_rate_for_the_mean(engine):
    ours = ENGINES[engine](package.synchronous, 5, (DATA, 40, 50, 0.025)).results[0]
    theirs = ENGINES[engine](parameter_server, 5, (DATA, 10, 50, 0.1)).results[0]
    assert torch.equal(ours, theirs)  # dividing by four workers is exact


@engines
def test_with_one_worker_nothing_is_stale_and_all_three_agree(engine):
    runs = [ENGINES[engine](strategy, 2, (DATA, 20)) for strategy in STRATEGIES]
    expected = accumulated(1, 20)
    for run in runs:
        assert torch.equal(run.results[0], expected) and not run.metrics.staleness.any()
    assert torch.equal(
        runs[0].results[0], ENGINES["simulated"](package.asynchronous, 2, (DATA, 20)).results[0]
    )


@pytest.mark.parametrize("nodes", [3, 4, 5])
def test_without_a_bound_the_gate_is_the_server_on_arrival_to_the_bit(nodes):
    on_arrival = lab.simulate(package.asynchronous, nodes, cluster=RANDOM, args=(DATA, 60))
    gate = lab.simulate(package.bounded, nodes, cluster=RANDOM, args=(DATA, 60, 50, 0.1, math.inf))
    assert torch.equal(on_arrival.results[0], gate.results[0])
    assert on_arrival.metrics.staleness.equals(gate.metrics.staleness)


def test_an_aware_rate_divides_by_the_staleness_above_1():
    assert [package.aware(0.6, s) for s in (0, 1, 2, 6)] == pytest.approx([0.6, 0.6, 0.3, 0.1])
    runs = [
        lab.simulate(package.asynchronous, n, cluster=lab.Cluster(**FAST), args=(DATA, 20, 50, lr, rate))
        for n, lr, rate in ((3, 0.1, package.aware), (3, 0.1, package.plain), (5, 0.1, package.aware))
    ]
    assert torch.equal(runs[0].results[0], runs[1].results[0])  # two equal workers: staleness 1
    assert not torch.equal(
        runs[2].results[0],
        lab.simulate(package.asynchronous, 5, cluster=lab.Cluster(**FAST), args=(DATA, 20)).results[0],
    )


def test_it_learns_in_processes_without_waiting():
    history = lab.run(package.asynchronous, 5, args=(DATA, 240, 50, 0.05), progress=False, timeout_s=60)
    loss = history.metrics.loss
    assert loss.iloc[-40:].mean() < 0.6 * loss.iloc[:10].mean()


# staleness


def staleness_of(workers):
    """By the order of arrival alone: what each gradient's staleness must be."""
    read, found = {}, []
    for version, worker in enumerate(workers):
        found.append(version - read.get(worker, 0))
        read[worker] = version + 1
    return found


@engines
@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_staleness_is_what_the_order_of_arrival_says(engine, nodes):
    rows = ENGINES[engine](tick, nodes, (package.serve, 60)).metrics
    assert len(rows) == 60
    assert rows.staleness.tolist() == staleness_of(rows.worker)


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("speeds", ["equal", "unequal"])
def test_mean_staleness_is_workers_less_one_whatever_the_speeds(workers, seed, speeds):
    slow = {1: 5.0} if speeds == "unequal" else {}
    updates = 150 * workers
    run = lab.simulate(
        tick, workers + 1, cluster=seconds(seed=seed, slow=slow), args=(package.serve, updates)
    )
    found = run.metrics.staleness
    assert found.sum() <= (workers - 1) * updates  # each update makes w - 1 others one older, no more
    assert found.mean() == pytest.approx(workers - 1, rel=0.1)


def test_equal_workers_take_turns_and_a_slow_one_carries_what_its_speed_says():
    equal = lab.simulate(tick, 5, cluster=seconds("constant"), args=(package.serve, 80)).metrics
    assert set(equal.staleness[4:]) == {3} and equal.worker.tolist()[:8] == [1, 2, 3, 4] * 2
    slow = lab.simulate(
        tick, 5, cluster=seconds("constant", slow={2: 5.5}), args=(package.serve, 300)
    ).metrics
    mean = slow[20:].groupby("worker").staleness.mean()
    assert mean[2] == pytest.approx(3 * 5.5, abs=1.1)  # sum of speeds / its own - 1, but whole numbers
    assert mean.drop(2).max() < 2.5


def test_memoryless_workers_give_geometric_staleness():
    found = lab.simulate(tick, 5, cluster=seconds(), args=(package.serve, 2000)).metrics.staleness
    shares = [(found == s).mean() for s in range(4)]
    assert shares == pytest.approx([0.25 * 0.75**s for s in range(4)], abs=0.04)


# a bound


@pytest.mark.parametrize("bound", [0, 1, 3])
@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_no_worker_begins_further_ahead_than_the_bound(bound, nodes):
    run = lab.simulate(tick, nodes, cluster=seconds(), args=(package.serve_bounded, 200, bound))
    gap, begun = 0, [0] * nodes  # from the timeline, not from what the server says
    spans = run.spans
    for rank in spans[spans.kind == "compute"].sort_values(["start_s", "rank"])["rank"]:
        begun[rank] += 1
        if begun[rank] - min(begun[1:]) > bound + 1:  # + 1: those who begin at one moment
            pytest.fail(f"{begun}")
        gap = max(gap, begun[rank] - min(begun[1:]))
    assert run.metrics.gap.max() <= bound
    assert nodes == 2 or gap >= bound, "the bound was reached, so it was the bound that held"


def test_a_bound_of_0_waits_as_the_synchronous_server_does():
    runs = [
        lab.simulate(tick, 5, cluster=seconds(), args=args)
        for args in ((package.serve_rounds, 80), (package.serve_bounded, 80, 0))
    ]
    one, other = (run.metrics.groupby("time_s").size() for run in runs)
    assert one.tolist() == other.tolist() == [4] * 20
    assert runs[0].elapsed_s == pytest.approx(runs[1].elapsed_s)


def test_a_wider_bound_is_faster_and_staler():
    runs = [
        lab.simulate(tick, 9, cluster=seconds(), args=(package.serve_bounded, 400, bound))
        for bound in (0, 2, math.inf)
    ]
    assert runs[0].elapsed_s > 1.3 * runs[1].elapsed_s > 1.3 * 1.2 * runs[2].elapsed_s
    means = [run.metrics.staleness.mean() for run in runs]
    assert means[0] == 0 < means[1] < means[2]


@pytest.mark.parametrize("n", [2, 4, 8])
def test_waiting_for_all_takes_a_harmonic_number_times_as_long(n):
    pair = [
        lab.simulate(tick, n + 1, cluster=seconds(), args=(package.serve_bounded, 200 * n, bound))
        for bound in (0, math.inf)
    ]
    harmonic = sum(1 / k for k in range(1, n + 1))
    assert pair[0].elapsed_s / pair[1].elapsed_s == pytest.approx(harmonic, rel=0.1)


# the limit of the learning rate


@pytest.mark.parametrize("delay", [0, 1, 2, 3, 7])
def test_a_server_with_equal_workers_converges_below_the_limit_and_diverges_above(delay):
    def valley(node, lr):
        model = torch.nn.Linear(1, 1, bias=False)
        lab.parameters(model).fill_(1.0)
        if node.rank == 0:
            return package.serve(node, model, 800, lr)
        batch = torch.ones(1, 1), torch.zeros(1, 1)
        return package.work(node, model, repeat(batch), lambda said, y: (said - y).square().mean() / 2)

    ends = [
        lab.simulate(
            valley, delay + 2, cluster=seconds("constant"), args=(part * package.stability_limit(delay),)
        )
        for part in (0.95, 1.05)
    ]
    below, above = (abs(run.results[0].item()) for run in ends)
    assert below < 0.1 and not above < 10


# messages


@pytest.mark.parametrize("nodes", [2, 3, 4, 5])
@engines
def test_every_message_is_counted(engine, nodes):
    workers, updates = nodes - 1, 24
    runs = {s: ENGINES[engine](s, nodes, (DATA, updates)) for s in STRATEGIES}
    for strategy, run in runs.items():
        dropped = 0 if strategy is package.synchronous else workers - 1
        assert run.messages_sent[0] == updates + dropped + workers  # an answer each, and one to begin with
        assert sum(run.messages_sent[1:]) == updates + dropped
        assert run.bytes_sent[0] == run.messages_sent[0] * 4 * (P + 1)
        assert run.bytes_sent[1:] == [4 * (P + 2) * sent for sent in run.messages_sent[1:]]


def test_only_the_server_waits_when_it_answers_on_arrival():
    cluster = lab.Cluster(**FAST, slow={4: 5.0})
    waits = {}
    for strategy in (package.synchronous, package.asynchronous):
        spans = lab.simulate(strategy, 5, cluster=cluster, args=(DATA, 60)).spans
        spans = spans[spans.kind == "wait"]
        waits[strategy] = (spans.end_s - spans.start_s).groupby(spans["rank"]).sum()
    assert waits[package.synchronous][1] > 0.2
    assert waits[package.asynchronous].drop(0).max() < 0.01


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_single_node_is_refused_in_words(strategy):
    with pytest.raises(lab.WorkerError, match="1 node would only serve"):
        lab.simulate(strategy, 1, args=(DATA, 10))


@pytest.mark.parametrize("bound", [-1, math.nan])
def test_a_bound_below_0_is_refused_in_words(bound):
    with pytest.raises(lab.WorkerError, match="from 0 up"):
        lab.simulate(package.bounded, 3, args=(DATA, 10, 50, 0.1, bound))


# the lab's own


@pytest.fixture(scope="module")
def by_hand():
    cells = ["s07-work", "s07-train", "s07-apply", "s07-written", "s07-serve", "s07-bounded"]
    threads = torch.get_num_threads()
    names = defined("07", "s07-setup", *cells)
    torch.set_num_threads(threads)
    return names


PAIRS = [
    ("synchronous_as_written", package.synchronous, ()),
    ("serve", package.asynchronous, ()),
    ("serve_bounded", package.bounded, (2,)),
]


@pytest.mark.parametrize(("name", "strategy", "more"), PAIRS)
@pytest.mark.parametrize("nodes", [2, 3, 4, 5])
def test_the_labs_server_does_what_the_packages_does(by_hand, name, strategy, more, nodes):
    ours = lab.simulate(by_hand["train"], nodes, cluster=RANDOM, args=(by_hand[name], 24, 0.1, *more))
    theirs = lab.simulate(strategy, nodes, cluster=RANDOM, args=(DATA, 24, 50, 0.1, *more))
    assert torch.equal(ours.results[0], theirs.results[0])
    assert ours.metrics.equals(theirs.metrics)
    assert (ours.bytes_sent, ours.messages_sent) == (theirs.bytes_sent, theirs.messages_sent)
    assert ours.elapsed_s == theirs.elapsed_s


def test_the_labs_synchronous_server_does_so_in_processes_too(by_hand):
    args = (by_hand["synchronous_as_written"], 24, 0.1)
    ours = lab.run(by_hand["train"], 4, args=args, progress=False, timeout_s=60)
    assert torch.equal(ours.results[0], accumulated(3, 24))


@pytest.mark.parametrize(("name", "strategy", "more"), PAIRS[1:])
def test_the_labs_other_servers_run_in_processes_too(by_hand, name, strategy, more):
    args = (by_hand[name], 24, 0.1, *more)
    run = lab.run(by_hand["train"], 4, args=args, progress=False, timeout_s=60)
    applied = run.metrics.staleness
    assert 24 <= len(applied) <= 26 and run.results[0].isfinite().all()


def test_the_labs_functions_are_at_most_25_lines(by_hand):
    for name in ("work", "train", "answer", "apply", "serve", "serve_bounded", "wait_for_all"):
        assert len(inspect.getsource(by_hand[name]).splitlines()) <= 25
