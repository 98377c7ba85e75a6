"""Collectives on virtual time: values to the bit, times by the closed forms, bytes and messages."""

import pytest
import torch

from ddl_lab.cluster import collectives
from ddl_lab.cluster.collectives import Work, even_chunks
from ddl_lab.cluster.model import Cluster
from ddl_lab.errors import CollectiveMismatch, WorkerError
from ddl_lab.virtual.simulation import simulate

OPS = {"sum": torch.add, "mean": torch.add, "max": torch.maximum, "min": torch.minimum}


def values(rank, count=1000, dtype=torch.float32):
    """Numbers whose sum depends on the order of addition."""
    drawn = torch.randn(count, generator=torch.Generator().manual_seed(rank), dtype=torch.float64)
    return (drawn * 10.0 ** (rank % 5)).to(dtype)


def in_rank_order(parts, op):
    """parts[0] op parts[1] op …, written apart from the package."""
    total = parts[0]
    for part in parts[1:]:
        total = OPS[op](total, part)
    return total / len(parts) if op == "mean" else total


def bits(tensor):
    return tensor.contiguous().view(torch.uint8)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_reductions_are_those_in_rank_order_to_the_bit(op, dtype, nodes):
    def worker(node):
        whole = values(node.rank, 20 * node.world_size, dtype)
        chunk = torch.empty(20, dtype=dtype)
        node.reduce_scatter(chunk, whole, op=op)
        node.all_reduce(whole, op=op)
        return whole, chunk

    expected = in_rank_order([values(r, 20 * nodes, dtype) for r in range(nodes)], op)
    for rank, (whole, chunk) in enumerate(simulate(worker, nodes).results):
        assert torch.equal(bits(whole), bits(expected))
        assert torch.equal(bits(chunk), bits(expected[20 * rank : 20 * rank + 20]))


def test_the_order_of_addition_shows_in_the_bits():
    """Else the test above could not fail."""
    parts = [values(r) for r in range(5)]
    assert not torch.equal(in_rank_order(parts, "sum"), in_rank_order(parts[::-1], "sum"))


def test_broadcast_and_all_gather_copy():
    def worker(node):
        tensor = values(node.rank, 6).view(2, 3)
        node.broadcast(tensor, src=2)
        gathered = torch.empty(4, 6)
        node.all_gather(gathered, values(node.rank, 6))
        return tensor, gathered

    for tensor, gathered in simulate(worker, 4).results:
        assert torch.equal(tensor.view(-1), values(2, 6))
        assert torch.equal(gathered, torch.stack([values(r, 6) for r in range(4)]))


def test_a_node_that_goes_on_may_change_its_tensors_before_others_have_woken():
    """Rank 0 wakes first: what it then writes must reach nobody."""
    calls = [
        lambda node, part, whole: node.all_reduce(whole),
        lambda node, part, whole: node.broadcast(whole, src=0),
        lambda node, part, whole: node.reduce_scatter(part, whole),
        lambda node, part, whole: node.all_gather(whole, part),
    ]

    def worker(node):
        got = []
        for call in calls:
            part, whole = torch.ones(1), torch.ones(4)
            call(node, part, whole)
            got += [part.sum().item(), whole.sum().item()]
            part.fill_(-100.0)
            whole.fill_(-100.0)
        return got

    assert simulate(worker, 4).results == [[1, 16, 1, 4, 4, 4, 1, 4]] * 4


def test_lists_may_hold_chunks_of_unequal_size():
    sizes = [3, 0, 4]

    def worker(node):
        own = torch.empty(sizes[node.rank])
        node.reduce_scatter(own, [values(10 * node.rank + k, size) for k, size in enumerate(sizes)])
        gathered = [torch.empty(size) for size in sizes]
        node.all_gather(gathered, own)
        return own, gathered

    history = simulate(worker, 3)
    for rank, (own, gathered) in enumerate(history.results):
        expected = in_rank_order([values(10 * r + rank, sizes[rank]) for r in range(3)], "sum")
        assert torch.equal(own, expected)
        assert all(torch.equal(g, history.results[k][0]) for k, g in enumerate(gathered))
    chunks = tuple(4 * size for size in sizes)
    sent = [
        sum(
            collectives.traffic("ring", Work(name, chunks), rank)[0]
            for name in ("reduce_scatter", "all_gather")
        )
        for rank in range(3)
    ]
    assert history.bytes_sent == sent


def test_an_output_may_lie_in_its_input():
    def worker(node):
        full = values(node.rank, 6)
        node.reduce_scatter(full[4:] if node.rank == 0 else full[:2], full)
        gathered = torch.full((6,), float(node.rank))
        node.all_gather(gathered, gathered[:2])
        return (full[4:] if node.rank == 0 else full[:2]), gathered

    expected = in_rank_order([values(r, 6) for r in range(3)], "sum")
    for rank, (chunk, gathered) in enumerate(simulate(worker, 3).results):
        assert torch.equal(chunk, expected[2 * rank : 2 * rank + 2])
        assert gathered.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("algorithm", collectives.ALGORITHMS)
@pytest.mark.parametrize("name", ["all_reduce", "broadcast", "reduce_scatter", "all_gather", "barrier"])
def test_a_collective_starts_with_the_last_node_and_ends_by_the_closed_form(algorithm, name):
    cluster = Cluster(algorithm=algorithm, latency_s=0.5, bandwidth_bytes_per_s=8.0)
    nodes, size = 6, 24

    def worker(node):
        with node.compute(seconds=[1, 5, 2, 5, 3, 4][node.rank]):
            whole, part = torch.zeros(size), torch.zeros(size // nodes)
        call = {
            "all_reduce": lambda: node.all_reduce(whole),
            "broadcast": lambda: node.broadcast(whole, src=4),
            "reduce_scatter": lambda: node.reduce_scatter(part, whole),
            "all_gather": lambda: node.all_gather(whole, part),
            "barrier": node.barrier,
        }
        call[name]()
        return node.now()

    history = simulate(worker, nodes, cluster=cluster)
    total = 0 if name == "barrier" else 4 * size
    work = Work(name, even_chunks(total, nodes), 4 if name == "broadcast" else 0)
    seconds = collectives.seconds(algorithm, work, 0.5, 8.0)
    assert history.results == [5.0 + seconds] * nodes
    told = [collectives.traffic(algorithm, work, rank) for rank in range(nodes)]
    assert list(zip(history.bytes_sent, history.messages_sent, strict=True)) == told
    spans = history.spans[history.spans["rank"] == 2]
    assert spans.kind.tolist() == ["compute", "wait", name]
    assert spans.start_s.tolist() == [0.0, 2.0, 5.0] and spans.label.tolist()[1] == name


def test_groups_meet_apart_and_ranks_are_renumbered():
    def worker(node):
        side = node.group([0, 2, 4] if node.rank % 2 == 0 else [3, 1])
        tensor = values(node.rank, 8)
        side.all_reduce(tensor)
        side.group([side.rank]).barrier()
        told = torch.tensor(float(node.rank))
        side.broadcast(told, src=0)
        return tensor, told.item(), node.now()

    results = simulate(worker, 5).results
    for rank, (tensor, told, _) in enumerate(results):
        ranks = [0, 2, 4] if rank % 2 == 0 else [3, 1]
        assert torch.equal(tensor, in_rank_order([values(r, 8) for r in ranks], "sum"))
        assert told == ranks[0]
    assert results[0][2] != results[1][2]  # three nodes and two need different times


CALLS = {
    "op": lambda node, t: node.all_reduce(t, op="max" if node.rank == 1 else "sum"),
    "shape": lambda node, t: node.all_reduce(t[:2] if node.rank == 1 else t),
    "dtype": lambda node, t: node.all_reduce(t.double() if node.rank == 1 else t),
    "src": lambda node, t: node.broadcast(t, src=1 if node.rank == 1 else 0),
    "name": lambda node, t: node.barrier() if node.rank == 1 else node.all_reduce(t),
}


@pytest.mark.parametrize("differing", CALLS)
def test_ranks_that_disagree_are_told_each_ranks_call(differing):
    def worker(node):
        node.record(before=1.0)
        CALLS[differing](node, torch.zeros(3))

    with pytest.raises(CollectiveMismatch, match=r"ranks 0 and 2: .*\n  rank 1: ") as caught:
        simulate(worker, 3)
    assert caught.value.history.metrics.before.tolist() == [1.0] * 3


def test_a_collective_takes_a_data_set_but_does_not_write_to_one():
    from ddl_lab.training.data import load_digits

    digits = load_digits()

    def reads(node):
        whole = torch.empty(2, 784)
        node.all_gather(whole, digits.train.x[node.rank])
        return whole

    assert torch.equal(simulate(reads, 2).results[1], digits.train.x[:2])
    with pytest.raises(WorkerError, match="read-only"):
        simulate(lambda node: node.all_reduce(digits.train.x[0]), 2)
