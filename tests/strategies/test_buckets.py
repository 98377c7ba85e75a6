"""Buckets: data_parallel's numbers, whatever the cut; messages and times; what goes on beside what."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

import ddl_lab as lab
from ddl_lab.strategies.buckets import cut, data_parallel_in_buckets
from ddl_lab.strategies.data_parallel import data_parallel
from ddl_lab.training.data import Split

DIGITS = lab.load_digits().train
DATA = Split(DIGITS.x[:240], DIGITS.y[:240], DIGITS.labels[:240], "first")
RUN = partial(lab.run, progress=False, timeout_s=60)
PACE = lab.Cluster(speeds=1e5, latency_s=1e-4, bandwidth_bytes_per_s=1e9)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
    "paced": partial(RUN, transport="shm", cluster=PACE),
}


def deep(layers, width):
    """784 -> width, then ``layers`` - 1 times width -> width, a ReLU between two, and a last one to 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = [784, *[width] * (layers - 1), 1]
        linears = [nn.Linear(*pair) for pair in pairwise(sizes)]
    between = [part for linear in linears[:-1] for part in (linear, nn.ReLU())]
    return nn.Sequential(*between, linears[-1])


def accumulating(node, data, ranks, batch_size, model):
    """One process that accumulates the batches of all ranks in rank order; an epoch."""
    seats = [type("Seat", (), {"rank": rank, "world_size": ranks})() for rank in range(ranks)]
    for step in zip(*[lab.batches(data, seat, batch_size) for seat in seats], strict=True):
        parts = [lab.gradient(lab.bce_with_logits(model(x), y), model) for x, y in step]
        lab.sgd_step(model, sum(parts) / ranks, 0.1)
    return lab.parameters(model)


@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize("engine", ENGINES)
def test_it_has_the_numbers_of_data_parallel(engine, nodes):
    expected = lab.simulate(data_parallel, nodes, args=(DATA, 20, 1))
    history = ENGINES[engine](data_parallel_in_buckets, nodes, args=(DATA, 20, 1, 0.1, 1_000))
    for got, want in zip(history.results, expected.results, strict=True):
        assert (got - want).norm() <= 1e-6 * want.norm()
    assert history.metrics.loss.to_numpy() == pytest.approx(expected.metrics.loss.to_numpy(), rel=1e-6)


@pytest.mark.parametrize("bucket_bytes", [0, 30_000, 1e9])
def test_a_deep_network_takes_the_steps_of_one_process_however_it_is_cut(bucket_bytes):
    args = (DATA, 20, 1, 0.1, bucket_bytes, deep(6, 64))
    expected = lab.simulate(accumulating, 1, args=(DATA, 3, 20, deep(6, 64))).results[0]
    for result in lab.simulate(data_parallel_in_buckets, 3, args=args).results:
        assert (result - expected).norm() <= 1e-6 * expected.norm()


def test_parts_grow_from_the_last_layer_to_the_bytes_of_a_bucket():
    model = deep(5, 100)  # weights and biases of 100 -> 100: 40,400 bytes
    assert [len(part) for part in cut(model, 0)] == [2, 2, 2, 2, 1]  # a ReLU goes with the layer after it
    assert [len(part) for part in cut(model, 50_000)] == [6, 3]
    assert [len(part) for part in cut(model, 1e9)] == [9]
    assert list(nn.Sequential(*[layer for part in cut(model, 0)[::-1] for layer in part])) == list(model)
    assert len(cut(nn.Sequential(nn.Flatten(), nn.Linear(784, 1), nn.Sigmoid()), 0)) == 1


def test_bytes_are_those_of_one_message_and_messages_as_many_times_as_there_are_buckets():
    whole, apart = (
        lab.simulate(data_parallel_in_buckets, 4, args=(DATA, 20, 1, 0.1, size, deep(6, 64)))
        for size in (1e9, 0)
    )
    assert sum(apart.bytes_sent) == sum(whole.bytes_sent)
    assert apart.messages_sent == [6 * count for count in whole.messages_sent]


# 24 layers of 50 kB each, whose backward takes 1 ms; a forward pass of 12 ms


def steps_of_24_layers(layers_a_bucket, algorithm):
    model = deep(25, 111)
    batch = Split(DIGITS.x[:8], DIGITS.y[:8], DIGITS.labels[:8], "eight")
    ones = sum(p.numel() for p in model[2].parameters())
    speed = 2 / 3 * ones / len(lab.parameters(model)) / 1e-3  # samples/s: a middle layer takes 1 ms
    cluster = lab.Cluster(speeds=speed, latency_s=3e-4, bandwidth_bytes_per_s=2e8, algorithm=algorithm)
    size = 4 * ones * (layers_a_bucket - 1) + 1
    return lab.simulate(data_parallel_in_buckets, 8, cluster=cluster, args=(batch, 1, 1, 0.1, size, model))


@pytest.mark.parametrize("algorithm", ["ring", "tree", "direct", "doubling"])
def test_buckets_travel_while_the_next_ones_are_computed(algorithm):
    spans = steps_of_24_layers(2, algorithm).spans.query("rank == 0")
    sums, computed = spans[spans.kind == "all_reduce"], spans[spans.kind == "compute"]
    assert len(sums) == len(computed) - 1 == 13
    ends = computed.end_s.to_numpy()[1:]
    starts = sums.start_s.to_numpy()
    free = [0.0, *sums.end_s.to_numpy()[:-1]]  # the link, once the bucket before has passed
    assert starts == pytest.approx([max(end, link) for end, link in zip(ends, free, strict=True)])


def test_more_buckets_pay_where_messages_are_few_and_not_where_each_pays_14_latencies():
    took_s = {
        (algorithm, layers): steps_of_24_layers(layers, algorithm).elapsed_s
        for algorithm in ("ring", "doubling")
        for layers in (100, 2)
    }
    assert took_s["doubling", 2] < took_s["doubling", 100]
    assert took_s["ring", 2] > took_s["ring", 100]
