"""The synchronous parameter server: all-reduce's numbers, its own bytes, the seconds of its formulas."""

from collections import namedtuple
from functools import partial
from itertools import islice
from types import SimpleNamespace

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.parameter_server import (
    every_node_serves,
    keeping_server,
    one_round,
    parameter_server,
    shard,
    sharded_servers,
)

S = 4 * 201_217  # bytes of the parameters
STEPS, BATCH = 3, 20
WORKERS = range(1, 6)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60),
    "gloo": partial(lab.run, transport="gloo", progress=False, timeout_s=60),
}
Seat = namedtuple("Seat", "rank world_size")
engines = pytest.mark.parametrize("engine", ["simulate", "shm"])


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as many as a node has: sums in another order have other bits
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data():
    return lab.load_digits().train


@pytest.fixture(scope="module")
def uneven(data):
    """97 digits: over 2 to 5 workers no batch has the size of its neighbour throughout."""
    return SimpleNamespace(x=data.x[:97].clone(), y=data.y[:97].clone())


def accumulated(data, workers, steps=STEPS, batch=BATCH, lr=0.1, momentum=0.0, first=0):
    """One process that takes all workers' batches in rank order; with torch's optimiser."""
    model = lab.make_model(seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    shares = [shard(data, Seat(rank, workers), batch, steps, first) for rank in range(workers)]
    for step in zip(*shares, strict=True):
        optimizer.zero_grad()
        for x, y in step:
            lab.bce_with_logits(model(x), y).backward()
        for leaf in model.parameters():
            leaf.grad /= workers
        optimizer.step()
    return lab.parameters(model)


def all_reduce(node, data):
    model = lab.make_model(seed=0)
    for x, y in shard(data, node, BATCH, STEPS):
        gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
        node.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, 0.1)
    return lab.parameters(model)


# values


@engines
@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("split", ["even", "uneven"])
def test_server_all_reduce_and_one_process_agree_to_the_bit(engine, workers, split, data, uneven):
    digits = {"even": data, "uneven": uneven}[split]
    served = ENGINES[engine](parameter_server, workers + 1, args=(digits, STEPS, BATCH)).results
    reduced = ENGINES[engine](all_reduce, workers, args=(digits,)).results[0]
    assert torch.equal(served[0], reduced)
    assert torch.equal(served[0], accumulated(digits, workers))
    assert served[1:] == [None] * workers


@engines
@pytest.mark.parametrize(("workers", "servers"), [(1, 1), (1, 2), (2, 2), (2, 3), (3, 1), (3, 2), (5, 5)])
def test_slices_on_several_servers_make_the_same_model(engine, workers, servers, uneven):
    args = (uneven, STEPS, servers, BATCH)
    results = ENGINES[engine](sharded_servers, workers + servers, args=args).results
    assert torch.equal(torch.cat(results[:servers]), accumulated(uneven, workers))
    assert results[servers:] == [None] * workers


@engines
@pytest.mark.parametrize("nodes", WORKERS)
def test_where_every_node_serves_all_end_with_the_same_model(engine, nodes, uneven):
    results = ENGINES[engine](every_node_serves, nodes, args=(uneven, STEPS, BATCH)).results
    assert all(torch.equal(theta, accumulated(uneven, nodes)) for theta in results)


def test_over_gloo_the_numbers_are_the_same(data):
    found = ENGINES["gloo"](parameter_server, 3, args=(data, STEPS, BATCH)).results[0]
    assert torch.equal(found, accumulated(data, 2))


@engines
@pytest.mark.parametrize("nodes", [2, 3, 4, 5])
def test_momentum_is_that_of_torch(engine, nodes, uneven, tmp_path):
    args = (uneven, 0, 6, tmp_path / "kept.pt")
    found = ENGINES[engine](keeping_server, nodes, args=args).results[0]
    expected = accumulated(uneven, nodes - 1, steps=6, batch=50, momentum=0.9)
    assert (found - expected).norm() < 1e-6 * expected.norm()


@engines
def test_a_run_in_two_parts_ends_with_the_bits_of_one(engine, data, tmp_path):
    run, path = ENGINES[engine], tmp_path / "kept.pt"
    through = run(keeping_server, 3, args=(data, 0, 6, tmp_path / "other.pt")).results[0]
    run(keeping_server, 3, args=(data, 0, 2, path))
    assert torch.equal(run(keeping_server, 3, args=(data, 2, 6, path)).results[0], through)
    kept = torch.load(path, weights_only=True)
    assert kept["step"] == 6 and torch.equal(kept["parameters"], through)


def test_a_checkpoint_of_another_step_is_refused(data, tmp_path):
    path = tmp_path / "kept.pt"
    lab.simulate(keeping_server, 2, args=(data, 0, 1, path))
    with pytest.raises(lab.WorkerError, match="is of step 1, and step 2 was asked"):
        lab.simulate(keeping_server, 2, args=(data, 2, 3, path))


def test_batches_go_on_over_epochs_and_from_any_step(uneven):
    whole = [y for _, y in shard(uneven, Seat(0, 2), BATCH, 8)]
    assert len(whole) == 8 and sum(map(len, whole)) > 97 / 2  # more than one epoch of this worker
    later = [y for _, y in shard(uneven, Seat(0, 2), BATCH, 8, first=5)]
    assert all(torch.equal(a, b) for a, b in zip(later, whole[5:], strict=True))


@pytest.mark.parametrize("worker", [parameter_server, sharded_servers, keeping_server])
def test_without_a_worker_it_says_so(worker, data, tmp_path):
    args = {sharded_servers: (data, 1, 2), keeping_server: (data, 0, 1, tmp_path / "x.pt")}
    nodes = 2 if worker is sharded_servers else 1
    with pytest.raises(lab.WorkerError, match="it takes at least one server and one worker"):
        lab.simulate(worker, nodes, args=args.get(worker, (data, 1)))


# bytes and messages


@pytest.mark.parametrize("workers", WORKERS)
def test_the_server_sends_one_copy_to_each_worker_and_each_worker_one_gradient(workers, data):
    for engine in ("simulate", "shm"):
        history = ENGINES[engine](parameter_server, workers + 1, args=(data, STEPS, BATCH))
        assert history.bytes_sent == [STEPS * workers * S] + [STEPS * S] * workers
        assert history.messages_sent == [STEPS * workers] + [STEPS] * workers


@pytest.mark.parametrize(("workers", "servers"), [(2, 3), (4, 2)])
def test_each_of_several_servers_sends_its_slice_to_each_worker(workers, servers, data):
    slices = [4 * len(part) for part in torch.zeros(S // 4).tensor_split(servers)]
    for engine in ("simulate", "shm"):
        args = (data, STEPS, servers, BATCH)
        history = ENGINES[engine](sharded_servers, workers + servers, args=args)
        assert history.bytes_sent == [STEPS * workers * size for size in slices] + [STEPS * S] * workers
        assert history.messages_sent == [STEPS * workers] * servers + [STEPS * servers] * workers


@pytest.mark.parametrize("nodes", WORKERS)
def test_where_every_node_serves_bytes_and_messages_are_those_of_a_ring(nodes, data):
    for engine in ("simulate", "shm"):
        served = ENGINES[engine](every_node_serves, nodes, args=(data, STEPS, BATCH))
        ring = ENGINES[engine](all_reduce, nodes, args=(data,))
        assert sum(served.bytes_sent) == sum(ring.bytes_sent) == STEPS * 2 * (nodes - 1) * S
        assert served.messages_sent == ring.messages_sent == [STEPS * 2 * (nodes - 1)] * nodes


# seconds, and who waits for whom

LATENCY_S, BETA_S = 2e-3, 0.01  # a message's latency; its bytes' time where it has S of them
CLUSTER = lab.Cluster(speeds=1000, latency_s=LATENCY_S, bandwidth_bytes_per_s=S / BETA_S)
COMPUTE_S = BATCH / 1000


def step_s(worker, nodes, *args):
    """Seconds from the end of the first step to that of the third, halved."""
    history = lab.simulate(worker, nodes, cluster=CLUSTER, args=args)
    ends = history.metrics.groupby("step").time_s.max()
    return (ends.iloc[2] - ends.iloc[0]) / 2


@pytest.mark.parametrize("workers", [1, 2, 5, 8])
def test_a_step_takes_what_the_formula_says(workers, data):
    found = step_s(parameter_server, workers + 1, data, STEPS, BATCH)
    assert found == pytest.approx(COMPUTE_S + 2 * LATENCY_S + (workers + 1) * BETA_S)


@pytest.mark.parametrize(("workers", "servers"), [(1, 1), (6, 2), (6, 3), (6, 6), (3, 6)])
def test_a_step_with_several_servers_takes_what_the_formula_says(workers, servers, data):
    found = step_s(sharded_servers, workers + servers, data, STEPS, servers, BATCH)
    expected = COMPUTE_S + 2 * LATENCY_S + (workers / servers + 1) * BETA_S
    assert found == pytest.approx(expected, rel=1e-4)  # slices differ by a parameter


@pytest.mark.parametrize("nodes", [2, 4, 7])
def test_a_step_where_every_node_serves_takes_what_the_formula_says(nodes, data):
    found = step_s(every_node_serves, nodes, data, STEPS, BATCH)
    expected = COMPUTE_S + 2 * LATENCY_S + 2 * (nodes - 1) / nodes * BETA_S
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_servers_link_is_what_all_wait_for(data):
    history = lab.simulate(parameter_server, 9, cluster=CLUSTER, args=(data, STEPS, BATCH))
    spans = history.spans
    first = spans[spans["kind"] == "compute"].groupby("rank").start_s.min()
    assert first.diff().dropna().tolist() == pytest.approx([BETA_S] * 7)  # one after another
    sends = spans[(spans["rank"] == 0) & (spans["kind"] == "send")]
    assert len(sends) == 8 * STEPS and set(sends["peer"]) == set(range(1, 9))


def test_a_round_leaves_no_message_behind(data):
    def worker(node):
        if node.rank == 0:
            means = [one_round(node, torch.full((3,), float(k)), [1, 2]) for k in range(4)]
            assert not [handle for handle in node._family.unfinished if not handle._written]
            return torch.stack(means)
        for _ in range(4):
            box = torch.empty(3)
            node.recv(box, 0)
            node.send(box * node.rank, 0)
        return None

    (means, *_) = lab.simulate(worker, 3).results
    assert torch.equal(means[:, 0], 1.5 * torch.arange(4.0))


def test_the_first_batches_are_those_of_lab_batches(data):
    ours = list(shard(data, Seat(1, 4), 50, 2))
    theirs = list(islice(lab.batches(data, Seat(1, 4), 50), 2))
    assert all(torch.equal(a, b) for mine, other in zip(ours, theirs, strict=True)
               for a, b in zip(mine, other, strict=True))  # fmt: skip
