"""reduce, gather, scatter, all_to_all in every engine: the same numbers, bytes, times, and words."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.cluster.collectives import Work, even_work, seconds, traffic
from ddl_lab.cluster.work import all_to_all_work

PACE = lab.Cluster(latency_s=2e-3, bandwidth_bytes_per_s=1e8)
RUN = partial(lab.run, progress=False, timeout_s=60)
ENGINES = {
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
    "paced": partial(RUN, transport="shm", cluster=PACE),
    "simulate": lab.simulate,
}
CALLS = ("reduce", "gather", "scatter", "all_to_all", "all_to_all_single")


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


def values(rank, count):
    """Numbers whose sum depends on the order of addition in its last bits."""
    return torch.rand(count, generator=torch.Generator().manual_seed(rank)) * 10.0 ** (rank % 3)


def rows(giver, taker, n):
    """How many elements ``giver`` has for ``taker``: some none, some more than fit into a record."""
    return (giver + 2 * taker) % n * (1 if taker else 40_000)


def every_call(node, asynchronous):
    """Each call once or twice; with ``asynchronous`` all are started before the last one is waited for."""
    n, me, option = node.world_size, node.rank, {"async_op": True} if asynchronous else {}
    last = n - 1
    made = {
        "summed": values(me, 70_000).view(700, 100),
        "largest": values(me, 5_000).view(50, 100).t(),
        "gathered": [torch.empty(5, 2) for _ in range(n)] if me == last else None,
        "gathered apart": [torch.empty(3 * k) for k in range(n)] if me == 0 else None,
        "scattered": torch.empty(60, 100).t(),
        "exchanged": [torch.empty(rows(k, me, n)) for k in range(n)],
        "cut evenly": torch.empty(n, 50),
        "cut": torch.empty(sum(rows(k, me, n) for k in range(n)), 2),
    }
    given = [values(me + 10 * k, 6_000).view(100, 60) for k in range(n)]
    inputs = [values(me + k, rows(me, k, n)) for k in range(n)]
    counts = [rows(me, k, n) for k in range(n)]
    calls = [
        lambda: node.reduce(made["summed"], last, **option),
        lambda: node.reduce(made["largest"], 0, op="max", **option),
        lambda: node.gather(values(me, 10).view(2, 5).t(), made["gathered"], last, **option),
        lambda: node.gather(values(me, 3 * me), made["gathered apart"], **option),
        lambda: node.scatter(made["scattered"], given if me == last else None, src=last, **option),
        lambda: node.all_to_all(made["exchanged"], inputs, **option),
        lambda: node.all_to_all_single(made["cut evenly"], values(me, 50 * n).view(n, 50), **option),
        lambda: node.all_to_all_single(
            made["cut"], values(me, 2 * sum(counts)).view(-1, 2), [len(t) for t in made["exchanged"]], counts,
            **option,
        ),
    ]  # fmt: skip
    handles = []
    for call in calls:
        with node.compute(seconds=1e-4):
            pass
        handles.append(call())
    for handle in reversed(handles) if asynchronous else ():
        handle.wait()
    return made


def flat(made):
    return {
        name: torch.cat([part.reshape(-1) for part in value]) if isinstance(value, list) else value
        for name, value in made.items()
        if value is not None
    }


def expected(rank, n):
    """What torch's own cutting and adding makes of them."""
    last = n - 1
    summed = values(0, 70_000)
    for k in range(1, n):
        summed = summed + values(k, 70_000)
    largest = torch.stack([values(k, 5_000) for k in range(n)]).amax(0)
    counts = [[rows(giver, taker, n) for taker in range(n)] for giver in range(n)]
    cut = [values(k, 2 * sum(counts[k])).view(-1, 2).split(counts[k])[rank] for k in range(n)]
    found = {
        "summed": (summed if rank == last else values(rank, 70_000)).view(700, 100),
        "largest": (largest if rank == 0 else values(rank, 5_000)).view(50, 100).t(),
        "scattered": values(last + 10 * rank, 6_000).view(100, 60),
        "exchanged": torch.cat([values(k + rank, counts[k][rank]) for k in range(n)]),
        "cut evenly": torch.stack([values(k, 50 * n).view(n, 50)[rank] for k in range(n)]),
        "cut": torch.cat(cut),
    }
    if rank == last:
        found["gathered"] = torch.cat([values(k, 10).view(2, 5).t().reshape(-1) for k in range(n)])
    if rank == 0:
        found["gathered apart"] = torch.cat([values(k, 3 * k) for k in range(n)])
    return found


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_each_gives_what_torch_makes_of_it_and_sends_the_same_in_every_engine(engine, nodes, asynchronous):
    history, virtual = (
        engine(every_call, nodes, args=(asynchronous,)),
        lab.simulate(every_call, nodes, args=(False,)),
    )
    for rank, made in enumerate(history.results):
        found, want = flat(made), expected(rank, nodes)
        assert found.keys() == want.keys()
        for name, value in want.items():
            assert torch.equal(found[name], value), name
    assert history.bytes_sent == virtual.bytes_sent
    assert history.messages_sent == virtual.messages_sent
    kinds = {"reduce", "gather", "scatter", "all_to_all"}
    assert set(history.spans.kind) - {"wait"} == {"compute", *kinds}
    assert history.spans.kind.value_counts()["all_to_all"] == 3 * nodes


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("engine", [ENGINES["shm"], ENGINES["gloo"]])
def test_more_than_fits_into_shared_memory_is_exchanged(engine, asynchronous):
    def worker(node, asynchronous):
        count, n = 3_000_000, node.world_size  # 36 MB leave each rank
        inputs = [torch.full((count,), float(10 * node.rank + k)) for k in range(n)]
        outputs = [torch.empty(count) for _ in range(n)]
        handle = node.all_to_all(outputs, inputs, async_op=asynchronous)
        if handle:
            handle.wait()
        return [[*{part.min().item(), part.max().item()}] for part in outputs]

    results = engine(worker, 4, args=(asynchronous,)).results
    assert results == [[[10.0 * k + rank] for k in range(4)] for rank in range(4)]


def test_when_a_call_returns_its_tensors_are_free(engine):
    """Also those of a rank whose parts another has not looked at yet."""

    def worker(node):
        got = []
        for size in (4, 4_096, 2**20):
            tensor = torch.full((size,), float(node.rank + 1))
            parts = [torch.empty(size) for _ in range(3)]
            if node.rank == 0:
                sum(range(200_000))  # be late
            node.gather(tensor, parts if node.rank == 0 else None)
            tensor.fill_(-9)
            got += [part.mean().item() for part in parts] if node.rank == 0 else []
            summed = torch.full((size,), float(node.rank + 1))
            node.reduce(summed, 0)
            got += [summed.mean().item()] if node.rank == 0 else []
            summed.fill_(-9)
        node.barrier()
        return got

    assert engine(worker, 3).results[0] == [1.0, 2.0, 3.0, 6.0] * 3


def test_also_one_that_is_larger_than_the_room_for_messages():
    def worker(node):
        tensor = torch.full((2**23 + 2**20,), float(node.rank))
        parts = [torch.empty_like(tensor) for _ in range(2)] if node.rank == 0 else None
        node.gather(tensor, parts)
        tensor.fill_(-9)
        return [part.mean().item() for part in parts or ()]

    assert ENGINES["shm"](worker, 2).results[0] == [0.0, 1.0]


def test_an_output_may_lie_in_its_input_and_groups_renumber(engine):
    def worker(node):
        pair = node.group([2, 0]) if node.rank != 1 else node.group([1])
        tensor = torch.arange(2.0 * pair.world_size) + 10 * node.rank
        pair.all_to_all_single(tensor, tensor)
        mark = torch.tensor([float(node.rank)])
        pair.reduce(mark, 0)
        own = torch.zeros(1)
        pair.scatter(
            own, [torch.tensor([7.0 + k]) for k in range(pair.world_size)] if pair.rank == 0 else None
        )
        return tensor.tolist(), mark.item(), own.item()

    zero, one, two = engine(worker, 3).results
    assert two == ([20.0, 21.0, 0.0, 1.0], 2.0, 7.0)
    assert zero == ([22.0, 23.0, 2.0, 3.0], 0.0, 8.0)
    assert one == ([10.0, 11.0], 1.0, 7.0)


def test_a_tensor_that_only_gives_may_be_part_of_a_graph_and_a_backward_pass_sees_what_was_written(engine):
    def worker(node):
        weight = torch.ones(4, requires_grad=True)
        parts = [torch.empty(4) for _ in range(2)] if node.rank == 0 else None
        node.gather(weight * 2, parts)
        kept, target = torch.ones(4, requires_grad=True), torch.ones(4)
        loss = (kept * target).sum()
        node.scatter(target, [torch.zeros(4)] * 2 if node.rank == 0 else None)
        try:
            loss.backward()
        except RuntimeError as error:
            return "modified by an inplace operation" in str(error)
        return False

    assert engine(worker, 2).results == [True, True]


# time and traffic


def one_call(node, name, root, skewed):
    n, me = node.world_size, node.rank
    counts = [[(g + k) % 3 * skewed + 2 for k in range(n)] for g in range(n)]
    with node.compute(seconds=float(me)):
        pass
    if name == "reduce":
        node.reduce(torch.ones(6), root)
    elif name == "gather":
        sizes = [row[root] for row in counts]
        node.gather(torch.ones(sizes[me]), [torch.empty(s) for s in sizes] if me == root else None, root)
    elif name == "scatter":
        sizes = counts[root]
        node.scatter(torch.ones(sizes[me]), [torch.empty(s) for s in sizes] if me == root else None, root)
    else:
        node.all_to_all([torch.empty(row[me]) for row in counts], [torch.empty(c) for c in counts[me]])
    return counts, node.now()


@pytest.mark.parametrize("skewed", [0, 1])
@pytest.mark.parametrize("algorithm", ["ring", "direct", "doubling", "tree"])
@pytest.mark.parametrize("name", ["reduce", "gather", "scatter", "all_to_all"])
def test_a_call_takes_the_seconds_and_sends_the_bytes_of_its_form(name, algorithm, skewed):
    n, root = 6, 4
    cluster = lab.Cluster(latency_s=0.5, bandwidth_bytes_per_s=8.0, algorithm=algorithm)
    history = lab.simulate(one_call, n, cluster=cluster, args=(name, root, skewed))
    counts, _ = history.results[0]
    work = {
        "reduce": even_work("reduce", 6, n, 4, root),
        "gather": Work("gather", tuple(4 * row[root] for row in counts), root),
        "scatter": Work("scatter", tuple(4 * c for c in counts[root]), root),
        "all_to_all": all_to_all_work(tuple(tuple(4 * c for c in row) for row in counts)),
    }[name]
    sent = list(zip(history.bytes_sent, history.messages_sent, strict=True))
    assert sent == [traffic(algorithm, work, rank) for rank in range(n)]
    ends = [end for _, end in history.results]
    assert ends == [5.0 + seconds(algorithm, work, 0.5, 8.0)] * n  # all leave together
    spans = history.spans.query("rank == 2")
    assert spans.kind.tolist() == ["compute", "wait", name]
    assert spans.start_s.tolist() == [0.0, 2.0, 5.0] and spans.label.tolist()[1] == name


def test_a_cluster_of_hosts_and_one_that_chooses_price_unequal_rows():
    for algorithm in ("two-level", "auto"):
        cluster = lab.Cluster(host_size=2, algorithm=algorithm)
        history = lab.simulate(one_call, 6, cluster=cluster, args=("all_to_all", 0, 1))
        counts, end = history.results[0]
        work = all_to_all_work(tuple(tuple(4 * c for c in row) for row in counts))
        chosen, took_s = cluster.priced(work, range(6))
        assert end == pytest.approx(5.0 + took_s)
        assert history.bytes_sent == [traffic(chosen, work, rank)[0] for rank in range(6)]


def test_paced_processes_take_the_simulated_time(engine):
    cluster = lab.Cluster(latency_s=5e-3, bandwidth_bytes_per_s=1e6)

    def worker(node):
        node.all_to_all([torch.empty(500)] * 3, [torch.ones(500)] * 3)
        node.reduce(torch.ones(500), 0)
        handle = node.gather(
            torch.ones(500), [torch.empty(500)] * 3 if node.rank == 1 else None, 1, async_op=True
        )
        handle.wait()

    simulated = lab.simulate(worker, 3, cluster=cluster)
    paced = RUN(worker, 3, cluster=cluster)
    assert paced.elapsed_s >= simulated.elapsed_s - 1e-3
    assert paced.bytes_sent == simulated.bytes_sent


def test_one_that_does_not_block_goes_on_while_nodes_compute():
    def worker(node, asynchronous):
        handle = node.all_to_all([torch.empty(500)] * 3, [torch.ones(500)] * 3, async_op=asynchronous)
        with node.compute(seconds=1.0):
            pass
        if handle:
            handle.wait()

    cluster = lab.Cluster(latency_s=0.25, bandwidth_bytes_per_s=1e9)
    blocking, beside = (lab.simulate(worker, 3, cluster=cluster, args=(a,)) for a in (False, True))
    assert beside.elapsed_s == 1.0 and blocking.elapsed_s > 1.5
    figure = blocking.plot_timeline()
    assert figure is not None


# what goes wrong

REFUSED = {
    "reduce(dst=2)": lambda node: node.reduce(torch.ones(3), 2),
    "reduce(dst='a')": lambda node: node.reduce(torch.ones(3), "a"),
    "reduce op": lambda node: node.reduce(torch.ones(3), 0, op="product"),
    "a gather_list too short": lambda node: node.gather(torch.ones(3), [torch.empty(3)], node.rank),
    "a gather_list elsewhere": lambda node: node.gather(torch.ones(3), [torch.empty(3)] * 2, 1 - node.rank),
    "no gather_list": lambda node: node.gather(torch.ones(3), None, node.rank),
    "a tensor for a list": lambda node: node.gather(torch.ones(3), torch.empty(2, 3), node.rank),
    "own part": lambda node: node.gather(torch.ones(3), [torch.empty(4)] * 2, node.rank),
    "gather types": lambda node: node.gather(torch.ones(3), [torch.empty(3).int()] * 2, node.rank),
    "no scatter_list": lambda node: node.scatter(torch.ones(3), src=node.rank),
    "a scatter_list elsewhere": lambda node: node.scatter(torch.ones(3), [torch.ones(3)] * 2, 1 - node.rank),
    "a scatter_list too long": lambda node: node.scatter(torch.ones(3), [torch.ones(3)] * 3, node.rank),
    "output_list": lambda node: node.all_to_all([torch.ones(3)], [torch.ones(3)] * 2),
    "input_list": lambda node: node.all_to_all([torch.ones(3)] * 2, [torch.ones(3)] * 3),
    "types": lambda node: node.all_to_all([torch.ones(3)] * 2, [torch.ones(3).half()] * 2),
    "own row": lambda node: node.all_to_all([torch.ones(3)] * 2, [torch.ones(2)] * 2),
    "uneven": lambda node: node.all_to_all_single(torch.ones(3), torch.ones(3)),
    "0-d": lambda node: node.all_to_all_single(torch.ones(2), torch.tensor(1.0)),
    "split sizes": lambda node: node.all_to_all_single(torch.ones(3), torch.ones(3), [1, 2], [1, 1]),
    "half a row": lambda node: node.all_to_all_single(torch.ones(3), torch.ones(3), [1, 2], [1.5, 1.5]),
}


def words(node):
    said = {}
    for name, call in REFUSED.items():
        try:
            call(node)
        except (ValueError, TypeError) as error:
            said[name] = f"{type(error).__name__}: {error}"
    return said


def test_wrong_uses_are_refused_in_the_same_words_everywhere(engine):
    said = engine(words, 2).results
    assert said == lab.simulate(words, 2).results
    first = said[0]
    assert first.keys() == REFUSED.keys()
    assert first["a gather_list too short"] == (
        "ValueError: node.gather on rank 0 got 1 tensor in gather_list for 2 ranks: give one a rank, "
        "in rank order."
    )
    assert "only rank 1 gives one" in first["a gather_list elsewhere"]
    assert "this rank needs one, a list of 2 tensors" in first["no scatter_list"]
    assert "got tensors of torch.float16 and torch.float32: make them one dtype" in first["types"]
    assert "gives itself 2 elements and has room for 3" in first["own row"]
    assert "say in input_split_sizes how many rows belong to each rank" in first["uneven"]
    assert "input_split_sizes=[1, 1]: give 2 whole numbers that make 3" in first["split sizes"]


def on_root(node, count):
    """Rank 0's list of a part for each of three ranks."""
    return [torch.ones(count) for _ in range(3)] if node.rank == 0 else None


def another_row(node):
    inputs = [torch.ones(2 + (node.rank == 1 and taker == 2)) for taker in range(3)]
    node.all_to_all([torch.ones(2)] * 3, inputs)


def another_call(node):
    if node.rank == 0:
        node.all_reduce(torch.ones(3))
    else:
        node.all_to_all_single(torch.ones(3), torch.ones(3))


MISMATCHES = {
    "dst": (
        lambda node: node.reduce(torch.ones(3), node.rank // 2),
        "rank 2: reduce(dst=1, op=sum) of float32 (3,)",
    ),
    "op": (
        lambda node: node.reduce(torch.ones(3), 0, op="sum" if node.rank else "max"),
        "rank 0: reduce(dst=0, op=max) of float32 (3,)",
    ),
    "shape": (
        lambda node: node.reduce(torch.ones(3 + node.rank // 2), 0),
        "rank 2: reduce(dst=0, op=sum) of float32 (4,)",
    ),
    "dtype": (
        lambda node: node.scatter(
            torch.ones(3, dtype=[torch.float, torch.int][node.rank % 2]), on_root(node, 3)
        ),
        "rank 1: scatter(src=0) of int32",
    ),
    "size": (
        lambda node: node.gather(torch.ones(3 + node.rank // 2), on_root(node, 3)),
        "rank 0: gather(dst=0) of float32 has room for 3 from rank 2\n"
        "  rank 2: gather(dst=0) of float32 gives rank 0 4 elements\n",
    ),
    "row": (
        another_row,
        "rank 1: all_to_all() of float32 gives rank 2 3 elements\n"
        "  rank 2: all_to_all() of float32 has room for 2 from rank 1\n",
    ),
    "another call": (another_call, "ranks 1 and 2: all_to_all_single() of float32"),
}


@pytest.mark.parametrize("what", MISMATCHES)
def test_ranks_that_disagree_are_told_with_each_ones_call(engine, what):
    call, told = MISMATCHES[what]
    with pytest.raises(lab.CollectiveMismatch) as caught:
        engine(call, 3)
    assert told in str(caught.value)
    assert "a collective, the 1st of each" in str(caught.value)
    assert ("same op, shape, dtype and dst" in str(caught.value)) == (what in ("dst", "op", "shape"))


def test_those_that_do_not_block_are_told_likewise(engine):
    def worker(node):
        parts = [torch.ones(3)] * 3 if node.rank == 0 else None
        handle = node.gather(torch.ones(3 + node.rank // 2), parts, async_op=True)
        while not handle.done():
            pass

    with pytest.raises(
        lab.CollectiveMismatch, match=r"rank 2: gather\(dst=0, async_op=True\) of float32 gives"
    ):
        engine(worker, 3)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_waits_for_a_rank_that_has_returned_is_named(engine, asynchronous):
    def worker(node):
        if node.rank:
            handle = node.gather(torch.ones(3), async_op=asynchronous)
            if handle:
                handle.wait()

    with pytest.raises(lab.DeadlockError, match=r"waits in gather\(dst=0.*\) of float32 \(its 1st coll"):
        engine(worker, 3)


def test_a_part_written_before_wait_is_an_error(engine):
    def worker(node):
        inputs = [torch.ones(2), torch.ones(3)] if node.rank == 0 else [torch.ones(4), torch.ones(5)]
        outputs = [torch.empty(2), torch.empty(4)] if node.rank == 0 else [torch.empty(3), torch.empty(5)]
        handle = node.all_to_all(outputs, inputs, async_op=True)
        outputs[0].zero_()  # nobody reads it
        inputs[1] += node.rank
        handle.wait()

    with pytest.raises(
        lab.LabError, match=r"all_to_all\(async_op=True\) of float32 on rank 1: the tensor was"
    ):
        engine(worker, 2)


def test_data_sets_give_and_take_nothing(engine):
    digits = lab.load_digits().train

    def worker(node, writes):
        parts = [torch.empty(784), torch.empty(784)] if node.rank == 0 else None
        node.gather(digits.x[node.rank], parts)
        if writes:
            node.scatter(digits.x[2], parts)
        return parts

    assert torch.equal(torch.stack(engine(worker, 2, args=(False,)).results[0]), digits.x[:2])
    with pytest.raises(
        lab.WorkerError, match=r"node\.scatter writes into its tensor, and a data set is read-only"
    ):
        engine(worker, 2, args=(True,))
