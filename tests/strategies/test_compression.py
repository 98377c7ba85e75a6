"""Compressed gradients: the one process they equal, in both engines; the bytes; what memory does."""

import ast
import inspect
from collections import namedtuple
from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies import compression as package
from ddl_lab.strategies.compression import compressed, dense, momentum_corrected
from ddl_lab.strategies.data_parallel import data_parallel
from ddl_lab.strategies.low_rank import LowRank
from ddl_lab.strategies.quantised import half, levels_of, qsgd, quantise, restored
from ddl_lab.strategies.sign import scaled_sign
from ddl_lab.strategies.top_k import random_k, top_k
from ddl_lab.training.data import Split

Seat = namedtuple("Seat", "rank world_size")
ALL = lab.load_digits().train
DATA = Split(ALL.x[:301], ALL.y[:301], ALL.labels[:301], "first")  # unequal shares on 2 to 5 nodes
HIDDEN, ROWS = 8, (8, 784)
RUN = partial(lab.run, progress=False, timeout_s=60)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
}
engines = pytest.mark.parametrize("engine", ENGINES)


def all_dense(vectors, step):
    return sum(vectors) / len(vectors), vectors


def all_top_k(vectors, step):
    k = round(0.02 * len(vectors[0]))
    places = [v.abs().topk(k, sorted=False).indices for v in vectors]  # of equal entries it picks the same
    sent = [torch.zeros_like(v).scatter(0, at, v[at]) for v, at in zip(vectors, places, strict=True)]
    return sum(sent) / len(sent), sent


def all_random_k(vectors, step):
    generator = torch.Generator().manual_seed(step)
    chosen = torch.zeros(len(vectors[0]))
    chosen[torch.randperm(len(chosen), generator=generator)[: round(0.02 * len(chosen))]] = 1
    sent = [v * chosen for v in vectors]
    return sum(sent) / len(sent), sent


def all_signs(vectors, step):
    sent = [v.abs().mean() * torch.where(v >= 0, 1.0, -1.0) for v in vectors]
    return sum(sent) / len(sent), sent


def all_half(vectors, step):
    rounded = [(v / len(vectors)).bfloat16() for v in vectors]
    return sum(rounded[1:], rounded[0]).float(), [r.float() * len(vectors) for r in rounded]


def all_qsgd(vectors, step):
    sent = []
    for rank, v in enumerate(vectors):
        chance = torch.Generator().manual_seed(step * len(vectors) + rank)
        sent.append(restored(*quantise(v, levels_of(8), 512, chance), levels_of(8), len(v)))
    return sum(sent) / len(sent), sent


def all_low_rank(vectors, step):
    matrices = [v[:6272].view(ROWS) for v in vectors]
    q = torch.randn(784, 2, generator=torch.Generator().manual_seed(step))
    p = torch.linalg.qr(sum(m @ q for m in matrices) / len(matrices)).Q
    sent = [
        torch.cat([(p @ (m.T @ p).T).flatten(), v[6272:]]) for m, v in zip(matrices, vectors, strict=True)
    ]
    return sum(sent) / len(sent), sent


WAYS = {  # by name: the exchange, and the same for the vectors of all ranks in one process
    "dense": (dense, all_dense),
    "top-k": (partial(top_k, share=0.02), all_top_k),
    "random-k": (partial(random_k, share=0.02), all_random_k),
    "sign": (scaled_sign, all_signs),
    "half": (half, all_half),
    "qsgd": (qsgd, all_qsgd),
    "low rank": (LowRank(2, *ROWS, warm=False), all_low_rank),
}


def gradients_of(model, ranks):
    """Step by step the gradients of all ranks, at the parameters of that step."""
    shares = [lab.batches(DATA, Seat(rank, ranks), 20) for rank in range(ranks)]
    for step in zip(*shares, strict=True):
        yield [lab.gradient(lab.bce_with_logits(model(x), y), model) for x, y in step]


def in_one_process(node, together, ranks, memory):
    """The yardstick: all ranks' vectors side by side, compressed and added up without a message."""
    model = lab.make_model(seed=0, hidden=HIDDEN)
    left = [torch.zeros_like(lab.parameters(model))] * ranks
    for step, gradients in enumerate(gradients_of(model, ranks)):
        vectors = [g + e for g, e in zip(gradients, left, strict=True)]
        mean, sent = together(vectors, step)
        if memory:
            left = [v - s for v, s in zip(vectors, sent, strict=True)]
        lab.sgd_step(model, mean, 0.2)
    return lab.parameters(model)


def every_way(node, data, memory):
    """All exchanges one after the other: starting processes costs more than training does here."""
    results = []
    for exchange, _ in WAYS.values():
        theta = compressed(node, data, exchange, memory, batch_size=20, epochs=1, hidden=HIDDEN)
        results.append(theta.clone())
    return results


def distance(one, other):
    return ((one - other).norm() / other.norm()).item()


@pytest.mark.parametrize(
    ("engine", "nodes"), [(e, n) for e in ENGINES for n in range(1, 6) if e != "gloo" or n == 3]
)
def test_every_exchange_equals_its_compression_in_one_process(engine, nodes):
    memory = nodes != 2  # and without, on two
    history = ENGINES[engine](every_way, nodes, args=(DATA, memory))
    for place, (name, (_, together)) in enumerate(WAYS.items()):
        (alone,) = lab.simulate(in_one_process, 1, args=(together, nodes, memory)).results
        for result in history.results:
            assert torch.equal(result[place], history.results[0][place]), name
        # bfloat16 over gloo: a sum in another order is another one by a bit of eight
        bound = 1e-3 if (engine, name) == ("gloo", "half") else 2e-6
        assert distance(history.results[0][place], alone) < bound, name


@pytest.mark.parametrize("nodes", [1, 3, 4])
def test_processes_and_simulation_send_the_same_and_get_the_same_bits(nodes):
    real, virtual = (engine(every_way, nodes, args=(DATA, True)) for engine in (RUN, lab.simulate))
    for ours, theirs in zip(real.results, virtual.results, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert (real.bytes_sent, real.messages_sent) == (virtual.bytes_sent, virtual.messages_sent)
    assert real.metrics.loss.equals(virtual.metrics.loss)


def test_with_nothing_left_out_it_is_data_parallelism_to_the_bit():
    ours = lab.simulate(compressed, 3, args=(DATA, dense, True, 50, 1, 0.1)).results[0]
    assert torch.equal(ours, lab.simulate(data_parallel, 3, args=(DATA, 50, 1)).results[0])


def remembering(node, exchange):
    """Parameters x, the mean memory e, and the uncompressed steps with the same gradients."""
    x = torch.zeros(40)
    left, straight = torch.zeros(40), torch.zeros(40)
    for step in range(20):
        gradient = torch.randn(40, generator=torch.Generator().manual_seed(97 * step + node.rank)) + x / 4
        vector = gradient + left
        mean, sent = exchange(node, vector, step)
        left = vector - sent
        x = x - 0.1 * mean
        node.all_reduce(gradient, op="mean")
        straight -= 0.1 * gradient
    owed = left.clone()
    node.all_reduce(owed, op="mean")
    return x, x - 0.1 * owed, straight


@pytest.mark.parametrize("name", WAYS)
def test_less_what_is_remembered_the_parameters_are_those_of_uncompressed_steps(name):
    exchange = LowRank(1, 4, 8) if name == "low rank" else WAYS[name][0]
    x, less_owed, straight = lab.simulate(remembering, 3, args=(exchange,)).results[0]
    assert distance(less_owed, straight) < (1e-2 if name == "half" else 1e-5)  # half: the sum is rounded too
    if name not in ("dense", "half"):
        assert distance(x, straight) > 1e-3


def velocities(node, data, corrected):
    worker = momentum_corrected if corrected else partial(compressed, momentum=0.9)
    return worker(node, data, dense, batch_size=20, epochs=1, lr=0.02, hidden=HIDDEN).clone()


def test_with_nothing_left_out_both_momenta_are_torchs_own():
    def torchs(node):
        model = lab.make_model(seed=0, hidden=HIDDEN)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        for gradients in gradients_of(model, 3):
            mean = sum(gradients) / 3
            for leaf, part in zip(
                model.parameters(), mean.split([p.numel() for p in model.parameters()]), strict=True
            ):
                leaf.grad = part.view_as(leaf)
            optimiser.step()
        return lab.parameters(model)

    (theirs,) = lab.simulate(torchs, 1).results
    after = lab.simulate(velocities, 3, args=(DATA, False)).results[0]
    assert distance(after, theirs) < 2e-6


def test_a_velocity_that_is_sent_whole_each_time_is_no_momentum():
    corrected = lab.simulate(velocities, 3, args=(DATA, True)).results[0]
    plain = partial(compressed, batch_size=20, epochs=1, lr=0.02, hidden=HIDDEN)
    assert distance(corrected, lab.simulate(plain, 3, args=(DATA, dense)).results[0]) < 2e-6


@pytest.mark.parametrize("engine", ["simulate", "shm"])
@pytest.mark.parametrize("nodes", range(1, 6))
def test_corrected_momentum_equals_one_process(engine, nodes):
    def alone(node):
        model = lab.make_model(seed=0, hidden=HIDDEN)
        u, v = ([torch.zeros_like(lab.parameters(model))] * nodes for _ in range(2))
        for step, gradients in enumerate(gradients_of(model, nodes)):
            u = [0.9 * old + g for old, g in zip(u, gradients, strict=True)]
            v = [old + new for old, new in zip(v, u, strict=True)]
            mean, sent = all_top_k(v, step)
            u = [old * (s == 0) for old, s in zip(u, sent, strict=True)]
            v = [old * (s == 0) for old, s in zip(v, sent, strict=True)]
            lab.sgd_step(model, mean, 0.02)
        return lab.parameters(model)

    worker = partial(momentum_corrected, batch_size=20, epochs=1, lr=0.02, hidden=HIDDEN)
    results = ENGINES[engine](worker, nodes, args=(DATA, WAYS["top-k"][0])).results
    (expected,) = lab.simulate(alone, 1).results
    assert all(distance(result, expected) < 2e-6 for result in results)


@pytest.mark.parametrize("name", ["dense", "compressed", "momentum_corrected"])
def test_a_worker_has_at_most_25_lines_besides_its_docstring(name):
    body = ast.parse(inspect.getsource(getattr(package, name))).body[0].body
    assert body[-1].end_lineno - body[0].end_lineno <= 25
