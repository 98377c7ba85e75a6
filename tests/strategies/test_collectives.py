"""Collectives by hand: the values of node.all_reduce, the bytes and seconds of their formulas."""

import math
from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.cluster import collectives
from ddl_lab.strategies.collectives import (
    gather_and_broadcast,
    naive_broadcast,
    recursive_doubling_all_reduce,
    ring_all_reduce,
    tree_broadcast,
)

SUMS = [gather_and_broadcast, ring_all_reduce, recursive_doubling_all_reduce]
BROADCASTS = [naive_broadcast, tree_broadcast]
NODES = range(1, 10)
SIZES = (1, 2, 5, 8, 63, 1_000)  # elements: fewer than nodes, as many, more
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60),
    "gloo": partial(lab.run, transport="gloo", progress=False, timeout_s=60),
}
LATENCY_S, BANDWIDTH = 1e-3, 1e6
CLUSTER = lab.Cluster(latency_s=LATENCY_S, bandwidth_bytes_per_s=BANDWIDTH)


def named(functions):
    return pytest.mark.parametrize("by_hand", functions, ids=lambda function: function.__name__)


def values(rank, count):
    """Positive numbers whose sum depends on the order of addition in its last bits."""
    return torch.rand(count, generator=torch.Generator().manual_seed(rank)) * 10.0 ** (rank % 3)


def add(node, by_hand, sizes):
    """The sums by hand beside the node's own."""
    pairs = []
    for size in sizes:
        ours, theirs = values(node.rank, size), values(node.rank, size)
        by_hand(node, ours)
        node.all_reduce(theirs)
        pairs.append((ours, theirs))
    return pairs


def add_each(node, sizes):
    return [add(node, by_hand, sizes) for by_hand in SUMS]


def once(node, by_hand, size):
    tensor = values(node.rank, size)
    by_hand(node, tensor)
    return tensor


def check_sums(results, to_the_bit):
    for rank, pairs in enumerate(results):
        for (ours, theirs), (rank_0, _) in zip(pairs, results[0], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)
            assert torch.equal(ours, rank_0), f"rank {rank} has other bits than rank 0"
            assert not to_the_bit or torch.equal(ours, theirs)


@named(SUMS)
@pytest.mark.parametrize("nodes", NODES)
def test_every_rank_gets_the_sum_of_all_reduce_simulated(by_hand, nodes):
    results = lab.simulate(add, nodes, args=(by_hand, SIZES)).results
    check_sums(results, to_the_bit=by_hand is gather_and_broadcast or nodes <= 2)


@pytest.mark.parametrize("transport", ["shm", "gloo"])
@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5])
def test_every_rank_gets_the_sum_of_all_reduce_in_processes(nodes, transport):
    results = ENGINES[transport](add_each, nodes, args=((2, 1_000, 300_001),)).results
    for by_hand, by_rank in zip(SUMS, zip(*results, strict=True), strict=True):
        check_sums(by_rank, to_the_bit=transport == "shm" and by_hand is gather_and_broadcast)


@named(SUMS + BROADCASTS)
@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5])
def test_processes_and_simulation_agree_to_the_bit_and_in_bytes_and_messages(by_hand, nodes):
    real = ENGINES["shm"](once, nodes, args=(by_hand, 70_001))
    virtual = lab.simulate(once, nodes, args=(by_hand, 70_001))
    assert all(torch.equal(a, b) for a, b in zip(real.results, virtual.results, strict=True))
    assert real.bytes_sent == virtual.bytes_sent
    assert real.messages_sent == virtual.messages_sent


@named(BROADCASTS)
@pytest.mark.parametrize("nodes", NODES)
def test_every_rank_gets_what_the_source_has(by_hand, nodes):
    def worker(node, src):
        tensor = values(node.rank, 7)
        by_hand(node, tensor, src)
        return tensor

    for src in {0, nodes // 2, nodes - 1}:
        results = lab.simulate(worker, nodes, args=(src,)).results
        assert all(torch.equal(tensor, values(src, 7)) for tensor in results)


@named(BROADCASTS)
@pytest.mark.parametrize("transport", ["shm", "gloo"])
def test_a_broadcast_reaches_every_process(by_hand, transport):
    results = ENGINES[transport](once, 4, args=(by_hand, 100_000)).results
    assert all(torch.equal(tensor, values(0, 100_000)) for tensor in results)


@named(SUMS + BROADCASTS)
@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_tensors_of_several_dimensions_and_of_integers_take_part(by_hand, engine):
    def worker(node):
        tensor = torch.arange(6).reshape(2, 3) + node.rank
        by_hand(node, tensor)
        return tensor

    for tensor in engine(worker, 3).results:
        plain = torch.arange(6).reshape(2, 3)
        assert torch.equal(tensor, plain if by_hand in BROADCASTS else 3 * plain + 3)


@named(SUMS)
def test_one_after_another_on_a_group_they_do_not_mix(by_hand):
    def worker(node):
        half = node.group([0, 2, 4]) if node.rank % 2 == 0 else node.group([3, 1])
        tensors = [torch.full((5,), float(node.rank + step)) for step in range(3)]
        for tensor in tensors:
            by_hand(half, tensor)
        return [tensor[0].item() for tensor in tensors]

    even, odd = [6.0, 9.0, 12.0], [4.0, 6.0, 8.0]
    assert ENGINES["shm"](worker, 5).results == [even, odd, even, odd, even]


# bytes and messages


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("size", [1, 5, 720, 1_000])
def test_a_ring_sends_what_the_formula_says_and_no_all_reduce_less(nodes, size):
    history = lab.simulate(once, nodes, args=(ring_all_reduce, size))
    work = collectives.even_work("all_reduce", size, nodes, 4)
    formula = [collectives.traffic("ring", work, rank) for rank in range(nodes)]
    assert list(zip(history.bytes_sent, history.messages_sent, strict=True)) == formula
    assert sum(history.bytes_sent) == 2 * (nodes - 1) * 4 * size  # 2(n-1)/n S a rank, on average
    if size % nodes == 0:
        assert set(history.bytes_sent) == {2 * (nodes - 1) * 4 * size // nodes}


@pytest.mark.parametrize("nodes", NODES)
def test_gathering_sends_everything_through_rank_0(nodes):
    history = lab.simulate(once, nodes, args=(gather_and_broadcast, 100))
    assert history.messages_sent == [nodes - 1] + [1] * (nodes - 1)
    assert history.bytes_sent == [400 * count for count in history.messages_sent]


@pytest.mark.parametrize("nodes", NODES)
def test_recursive_doubling_sends_whole_tensors_in_few_messages(nodes):
    history = lab.simulate(once, nodes, args=(recursive_doubling_all_reduce, 100))
    power = 2 ** int(math.log2(nodes))
    doubling = [int(math.log2(power)) + (rank + power < nodes) for rank in range(power)]
    assert history.messages_sent == doubling + [1] * (nodes - power)
    assert history.bytes_sent == [400 * count for count in history.messages_sent]
    work = collectives.even_work("all_reduce", 100, nodes, 4)
    formula = [collectives.traffic("doubling", work, rank) for rank in range(nodes)]
    assert list(zip(history.bytes_sent, history.messages_sent, strict=True)) == formula


@pytest.mark.parametrize("nodes", NODES)
def test_both_broadcasts_send_a_tensor_to_each_other_node_the_tree_from_many(nodes):
    naive = lab.simulate(once, nodes, args=(naive_broadcast, 100))
    tree = lab.simulate(once, nodes, args=(tree_broadcast, 100))
    assert naive.messages_sent == [nodes - 1] + [0] * (nodes - 1)
    assert sum(tree.messages_sent) == nodes - 1
    assert max(tree.messages_sent) == tree.messages_sent[0] == collectives.rounds(nodes)
    assert tree.bytes_sent == [400 * count for count in tree.messages_sent]


# seconds


def doubling(n, s):
    power = 2 ** int(math.log2(n))
    rounds = int(math.log2(power)) + 2 * (power < n)
    return rounds * (LATENCY_S + s) + s * (n % 2 and power < n)


SECONDS = {
    naive_broadcast: lambda n, s: (n - 1) * (LATENCY_S + s),
    tree_broadcast: lambda n, s: collectives.rounds(n) * (LATENCY_S + s),
    gather_and_broadcast: lambda n, s: n * LATENCY_S + 2 * (n - 1) * s if n > 1 else 0.0,
    ring_all_reduce: lambda n, s: 2 * (n - 1) * (LATENCY_S + s / n),
    recursive_doubling_all_reduce: doubling,
}


@named(SECONDS)
@pytest.mark.parametrize("nodes", NODES)
def test_each_takes_the_seconds_of_its_formula(by_hand, nodes):
    size = 2_520  # elements: a multiple of each number of nodes
    history = lab.simulate(once, nodes, cluster=CLUSTER, args=(by_hand, size))
    assert history.elapsed_s == pytest.approx(SECONDS[by_hand](nodes, 4 * size / BANDWIDTH))


def test_nobody_waits_in_a_ring_of_equals_and_a_late_node_holds_all_up():
    def worker(node):
        with node.compute(seconds=0.5 * (node.rank == 1)):
            pass
        ring_all_reduce(node, torch.ones(400))

    history = lab.simulate(worker, 4, cluster=CLUSTER)
    waits = history.spans.query("kind == 'wait'")
    longest = (waits.end_s - waits.start_s).groupby(waits["rank"]).max()
    assert longest[2] > 0.49, "its left neighbour is late"
    assert set(longest.index[longest > 0.4]) == {0, 2, 3}
    assert history.elapsed_s > 0.5
