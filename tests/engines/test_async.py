"""Collectives that don't block: in every engine the blocking ones' numbers, and words for what goes wrong."""

from functools import partial

import pytest
import torch

import ddl_lab as lab

PACE = lab.Cluster(latency_s=2e-3, bandwidth_bytes_per_s=1e8)
ENGINES = {
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60),
    "gloo": partial(lab.run, transport="gloo", progress=False, timeout_s=60),
    "paced": partial(lab.run, transport="shm", progress=False, timeout_s=60, cluster=PACE),
    "simulate": lab.simulate,
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


def values(rank, count):
    """Numbers whose sum depends on the order of addition in its last bits."""
    return torch.rand(count, generator=torch.Generator().manual_seed(rank)) * 10.0 ** (rank % 3)


def every_call(node, asynchronous):
    """Each collective once; with ``asynchronous`` all are started before the first is waited for."""
    n, option = node.world_size, {"async_op": True} if asynchronous else {}
    sizes = [3 * k + 1 for k in range(n)]
    made = {
        "sum": values(node.rank, 7),
        "mean": values(node.rank, 300_001),
        "max": values(node.rank, 5_000).view(50, 100).t(),
        "sent": values(node.rank, 70_000),
        "chunk": torch.empty(1_000),
        "piece": torch.empty(sizes[node.rank]),
        "whole": torch.empty(n, 40),
        "parts": [torch.empty(size) for size in sizes],
    }
    calls = [
        lambda: node.all_reduce(made["sum"], **option),
        lambda: node.all_reduce(made["mean"], op="mean", **option),
        lambda: node.all_reduce(made["max"], op="max", **option),
        lambda: node.broadcast(made["sent"], n - 1, **option),
        lambda: node.reduce_scatter(made["chunk"], values(9 + node.rank, 1_000 * n), **option),
        lambda: node.reduce_scatter(
            made["piece"], [values(node.rank + size, size) for size in sizes], **option
        ),
        lambda: node.all_gather(made["whole"], values(node.rank, 40), **option),
        lambda: node.all_gather(made["parts"], values(node.rank, sizes[node.rank]), **option),
        lambda: node.barrier(**option),
    ]
    handles = []
    for call in calls:
        with node.compute(seconds=1e-4):
            pass
        handles.append(call())
    for handle in reversed(handles):
        if asynchronous:
            handle.wait()
    return made


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_each_has_the_numbers_of_the_blocking_one_whatever_is_waited_for_first(engine, nodes):
    blocking = lab.simulate(every_call, nodes, args=(False,))
    beside = engine(every_call, nodes, args=(True,))
    for expected, made in zip(blocking.results, beside.results, strict=True):
        for name, value in expected.items():
            if isinstance(value, list):
                assert all(map(torch.equal, value, made[name])), name
            else:
                assert torch.equal(value, made[name]), name
    assert beside.bytes_sent == blocking.bytes_sent
    assert beside.messages_sent == blocking.messages_sent


def test_large_ones_and_more_than_fit_into_shared_memory_arrive(engine):
    def worker(node):
        tensors = [values(node.rank + k, 700_000) for k in range(4)]
        handles = [node.all_reduce(tensor, async_op=True) for tensor in tensors]
        for handle in handles:
            handle.wait()
        return [tensor.double().sum().item() for tensor in tensors]

    results = engine(worker, 3).results
    for k in range(4):
        expected = sum((values(rank + k, 700_000) for rank in range(1, 3)), values(k, 700_000))
        assert all(result[k] == expected.double().sum().item() for result in results)


def test_until_the_wait_the_tensor_stays_as_it_was(engine):
    def worker(node):
        tensor = torch.full((3,), float(node.rank))
        handle = node.all_reduce(tensor, async_op=True)
        node.barrier()
        before = tensor.clone()
        while not handle.done():
            pass
        handle.wait(), handle.wait()
        return before.tolist(), tensor.tolist(), handle.done()

    for rank, result in enumerate(engine(worker, 3).results):
        assert result == ([float(rank)] * 3, [3.0] * 3, True)


def test_groups_and_messages_go_on_beside_them(engine):
    def worker(node):
        pair = node.group([0, 1]) if node.rank < 2 else node.group([2])
        mine, all_of_us, box = torch.ones(2) * node.rank, torch.ones(3), torch.empty(1)
        handles = [pair.all_reduce(mine, async_op=True), node.all_reduce(all_of_us, async_op=True)]
        sent = node.isend(torch.tensor([float(node.rank)]), (node.rank + 1) % 3)
        node.recv(box)
        node.all_reduce(box)
        sent.wait()
        for handle in handles if node.rank else handles[::-1]:
            handle.wait()
        return mine.tolist(), all_of_us.tolist(), box.item()

    results = engine(worker, 3).results
    assert results == [([1.0, 1.0], [3.0] * 3, 3.0)] * 2 + [([2.0, 2.0], [3.0] * 3, 3.0)]


def test_they_may_be_called_in_a_compute_span_and_in_a_backward_hook(engine):
    def worker(node):
        handles, weight = [], torch.ones(4, requires_grad=True)
        weight.register_hook(lambda slope: handles.append((node.all_reduce(slope, async_op=True), slope)))
        with node.compute(seconds=1e-3):
            (weight * (node.rank + 1)).sum().backward()
        ((handle, slope),) = handles
        handle.wait()
        return slope.tolist()

    assert engine(worker, 3).results == [[6.0] * 4] * 3


def test_several_of_one_compute_span_are_told_apart(engine):
    """Of equal calls each finds its own on the other ranks; of others none is taken for a mismatch."""

    def worker(node):
        first, second, third = torch.tensor([1.0]), torch.tensor([10.0]), torch.tensor([100.0, 200.0])
        with node.compute(seconds=1e-3):
            handles = [node.all_reduce(tensor, async_op=True) for tensor in (first, second, third)]
        node.barrier()
        for handle in handles:
            handle.wait()
        return first.tolist(), second.tolist(), third.tolist()

    assert engine(worker, 3).results == [([3.0], [30.0], [300.0, 600.0])] * 3


def test_a_wait_inside_a_compute_span_is_refused(engine):
    def worker(node):
        handle = node.all_reduce(torch.ones(2), async_op=True)
        with node.compute(seconds=1e-3):
            handle.wait()

    with pytest.raises(lab.WorkerError, match=r"node\.wait inside node\.compute"):
        engine(worker, 2)


def test_ranks_that_disagree_are_told_with_each_ones_call(engine):
    def worker(node):
        node.all_reduce(torch.ones(3 + node.rank // 2), async_op=True).wait()

    with pytest.raises(lab.CollectiveMismatch) as caught:
        engine(worker, 3)
    told = str(caught.value)
    assert "ranks 0 and 1: all_reduce(op=sum, async_op=True) of float32 (3,)" in told
    assert "rank 2: all_reduce(op=sum, async_op=True) of float32 (4,)" in told


def test_ranks_that_disagree_are_told_by_a_look_too(engine):
    def worker(node):
        dtype = torch.float64 if node.rank else torch.float32
        handle = node.all_gather(torch.ones(600, dtype=dtype), torch.ones(200, dtype=dtype), async_op=True)
        while not handle.done():
            pass

    with pytest.raises(
        lab.CollectiveMismatch, match=r"ranks 1 and 2: all_gather\(async_op=True\) of float64"
    ):
        engine(worker, 3)


def test_one_that_blocks_does_not_meet_one_that_does_not(engine):
    def worker(node):
        handle = node.all_reduce(torch.ones(3), async_op=node.rank == 0)
        if handle:
            handle.wait()

    with pytest.raises(lab.CollectiveMismatch, match=r"rank 0: all_reduce\(op=sum, async_op=True\)"):
        engine(worker, 3)


def test_who_waits_for_a_rank_that_has_returned_is_named(engine):
    def worker(node):
        if node.rank:
            node.all_reduce(torch.ones(3), async_op=True).wait()

    with pytest.raises(lab.DeadlockError) as caught:
        engine(worker, 3)
    assert "waits in all_reduce(op=sum, async_op=True) of float32 (3,) (its 1st collective)" in str(
        caught.value
    )
    assert "rank 0 returned already" in str(caught.value)


def test_the_second_of_two_is_named_as_the_second(engine):
    def worker(node):
        first = node.barrier(async_op=True)
        if node.rank:
            node.barrier(async_op=True).wait()
        first.wait()

    with pytest.raises(lab.DeadlockError, match="its 2nd collective"):
        engine(worker, 2)


def test_a_tensor_written_meanwhile_is_an_error_and_the_same_bytes_are_none(engine):
    def torn(node):
        tensor = torch.ones(3)
        handle = node.all_reduce(tensor, async_op=True)
        tensor += 1
        handle.wait()

    def same(node):
        whole = torch.zeros(6)
        handle = node.all_reduce(whole[:3], async_op=True)
        whole[3:] += 1  # beside it: views share one version counter
        handle.wait()
        return whole.tolist()

    with pytest.raises(lab.LabError, match=r"all_reduce.* on rank \d: the tensor was written before"):
        engine(torn, 2)
    assert engine(same, 2).results == [[0.0] * 3 + [1.0] * 3] * 2


def test_one_never_waited_for_is_told_at_the_end(capsys):
    def worker(node):
        node.all_reduce(torch.ones(3), async_op=True)
        return "here"

    with pytest.warns(UserWarning, match=r"rank 0 never waited for its all_reduce\(op=sum, async_op=True\)"):
        assert lab.simulate(worker, 2).results == ["here"] * 2
    assert lab.run(worker, 2, timeout_s=60).results == ["here"] * 2
    assert "rank 1 never waited for its all_reduce" in capsys.readouterr().err


# the virtual clock


def buckets(node, overlap):
    """24 layers of 1 ms and 50 kB, two in a bucket, as a backward pass makes them."""
    waited = []
    for _ in range(12):
        for _ in range(2):
            with node.compute(seconds=1e-3):
                bucket = torch.ones(25_000)
                if _ and overlap:
                    waited.append(node.all_reduce(bucket, async_op=True))
        waited += [] if overlap else [bucket]
    for one in waited:
        one.wait() if overlap else node.all_reduce(one)


@pytest.mark.parametrize(
    ("algorithm", "messages", "nbytes"),
    [("ring", 14, 14 / 8), ("tree", 6, 6), ("direct", 1, 7), ("doubling", 3, 3)],
)
def test_communication_goes_on_while_nodes_compute_one_after_another_on_the_link(algorithm, messages, nbytes):
    cluster = lab.Cluster(latency_s=300e-6, bandwidth_bytes_per_s=2e8, algorithm=algorithm)
    one = messages * 300e-6 + nbytes * 100_000 / 2e8
    blocking = lab.simulate(buckets, 8, cluster=cluster, args=(False,)).elapsed_s
    overlapped = lab.simulate(buckets, 8, cluster=cluster, args=(True,)).elapsed_s
    assert blocking == pytest.approx(0.024 + 12 * one)
    last_of_two = 0.024 + one if one <= 2e-3 else 0.002 + 12 * one
    assert overlapped == pytest.approx(last_of_two)


def test_a_call_inside_a_span_is_dated_at_its_end():
    def worker(node):
        with node.compute(seconds=1.0):
            handle = node.all_reduce(torch.ones(1), async_op=True)
        handle.wait()

    cluster = lab.Cluster(latency_s=0.25, bandwidth_bytes_per_s=1e12)
    (span,) = (
        s
        for s in lab.simulate(worker, 2, cluster=cluster).spans.itertuples()
        if s.kind == "all_reduce" and s.rank == 0
    )
    assert (span.start_s, span.end_s) == pytest.approx((1.0, 1.5))


def test_a_ranks_collectives_share_its_link_across_groups():
    def worker(node):
        group = node.group([0, 1]) if node.rank < 2 else node.group([2])
        handles = [
            group.all_reduce(torch.ones(1), async_op=True),
            node.all_reduce(torch.ones(1), async_op=True),
        ]
        for handle in handles:
            handle.wait()
        return node.now()

    cluster = lab.Cluster(latency_s=1.0, bandwidth_bytes_per_s=1e12, algorithm="direct")
    assert lab.simulate(worker, 3, cluster=cluster).results == pytest.approx([2.0, 2.0, 2.0])


def test_paced_processes_take_the_simulated_time_of_overlapped_buckets():
    cluster = lab.Cluster(latency_s=5e-3, bandwidth_bytes_per_s=2e8)
    simulated = lab.simulate(buckets, 3, cluster=cluster, args=(True,)).elapsed_s
    blocking = lab.simulate(buckets, 3, cluster=cluster, args=(False,)).elapsed_s
    paced = lab.run(buckets, 3, cluster=cluster, args=(True,), progress=False, timeout_s=60)
    starts = paced.spans.query("kind == 'all_reduce' and rank == 0").start_s
    assert simulated < blocking
    assert paced.elapsed_s >= simulated - 1e-3  # a busy machine may add to it, nothing takes away
    assert starts.is_monotonic_increasing


def test_the_critical_path_goes_through_what_is_waited_for():
    cluster = lab.Cluster(latency_s=300e-6, bandwidth_bytes_per_s=2e8)
    history = lab.simulate(buckets, 4, cluster=cluster, args=(True,))
    path = history.critical_path()
    assert path.start_s.iloc[0] == 0 and path.end_s.iloc[-1] == pytest.approx(history.elapsed_s)
    assert (path.end_s.to_numpy()[:-1] == path.start_s.to_numpy()[1:]).all()
    assert set(path.kind) == {"compute", "all_reduce"}
    assert history.shares().loc[0, "compute"] == pytest.approx(0.024 / history.elapsed_s)
