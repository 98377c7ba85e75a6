"""A synchronous step by formula is what a simulation takes; a bracket holds what overlaps."""

import pytest
import torch

import ddl_lab as lab
from ddl_lab.forecast import steps
from ddl_lab.strategies.buckets import data_parallel_in_buckets
from ddl_lab.training.parts import Part

LINK = lab.Cluster(latency_s=1e-3, bandwidth_bytes_per_s=1e7, speeds=1000.0)
NUMBERS = 1024


def one_step(node, samples):
    with node.compute(samples=samples):
        pass
    node.all_reduce(torch.zeros(NUMBERS))


@pytest.mark.parametrize("nodes", [1, 2, 8])
def test_strong_and_weak_speedups_are_those_of_a_simulation(nodes):
    alone = lab.simulate(one_step, 1, cluster=LINK, args=(64,)).elapsed_s
    shared = lab.simulate(one_step, nodes, cluster=LINK, args=(64 / nodes,)).elapsed_s
    each = lab.simulate(one_step, nodes, cluster=LINK, args=(64,)).elapsed_s
    assert steps.strong(LINK, nodes, 64, 4 * NUMBERS) == pytest.approx(alone / shared)
    assert steps.weak(LINK, nodes, 64, 4 * NUMBERS) == pytest.approx(nodes * alone / each)


@pytest.mark.parametrize("algorithm", ["ring", "auto", "two-level"])
def test_an_exchange_takes_what_the_cluster_says_that_it_costs(algorithm):
    cluster = lab.Cluster(algorithm=algorithm, host_size=8)
    for nodes in (1, 12, 64):
        assert steps.exchange_s(cluster, nodes, 80_000) == cluster.cost("all_reduce", 80_000, nodes).seconds


def test_a_bracket_ends_at_1_and_its_lower_end_hides_nothing():
    assert steps.bracket(3.0, 1.0) == (0.75, 1.0)
    assert steps.bracket(3.0, 5.0) == (pytest.approx(3 / 8), pytest.approx(0.5))
    assert steps.bracket(3.0, 5.0, hidden=0.0) == (3 / 8, 3 / 8)


@pytest.mark.parametrize("bucket_bytes", [0, 3e5, 1e9])
def test_training_in_buckets_is_as_efficient_as_its_bracket_has_it(bucket_bytes):
    few = Part(lab.load_digits().train, torch.arange(64))
    link = lab.Cluster(speeds=1000.0, latency_s=0.0, bandwidth_bytes_per_s=1e8)
    history = lab.simulate(data_parallel_in_buckets, 4, cluster=link, args=(few, 16, 1, 0.1, bucket_bytes))
    nbytes = 4 * lab.parameters(lab.make_model(seed=0)).numel()
    low, high = steps.bracket(16 / 1000, link.cost("all_reduce", nbytes, 4).seconds)
    assert low - 1e-4 <= 16 / 1000 / history.elapsed_s <= high + 1e-4
