"""The contract of ``node``, one suite over every engine: processes over shm, over gloo, and simulate."""

import itertools
import math
import random
from functools import partial

import numpy as np
import pytest
import torch

import ddl_lab as lab
from ddl_lab.history.recorder import COLLECTIVES

ENGINES = {
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60),
    "gloo": partial(lab.run, transport="gloo", progress=False, timeout_s=60),
    "simulate": lab.simulate,
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


def bits(tensor):
    return tensor.detach().contiguous().view(torch.uint8)


def values(rank, count, dtype=torch.float32):
    """Numbers whose sum depends on the order of addition in its last bits."""
    made = torch.rand(count, generator=torch.Generator().manual_seed(rank), dtype=torch.float64)
    return (made * 10.0 ** (rank % 3)).to(dtype)


def in_rank_order(parts, op):
    total = parts[0].clone()
    for part in parts[1:]:
        total = {"max": torch.maximum, "min": torch.minimum}.get(op, torch.add)(total, part)
    return total / len(parts) if op == "mean" else total


# collectives


@pytest.mark.parametrize("op", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_all_reduce_gives_every_rank_the_reduction(engine, nodes, op):
    sizes = (1, 7, 5_000, 300_001)

    def worker(node):
        tensors = [values(node.rank, size) for size in sizes]
        for tensor in tensors:
            node.all_reduce(tensor, op=op)
        return tensors

    results = engine(worker, nodes).results
    for k, size in enumerate(sizes):
        expected = in_rank_order([values(r, size) for r in range(nodes)], op)
        for rank in range(nodes):
            torch.testing.assert_close(results[rank][k], expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["shm", "simulate"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_all_reduce_adds_in_rank_order_to_the_bit(name, dtype):
    sizes = (3, 20_000, 700_001)  # one meeting; one block; several blocks

    def worker(node):
        tensors = [values(node.rank, size, dtype) for size in sizes]
        for tensor in tensors:
            node.all_reduce(tensor, op="mean")
        return tensors

    results = ENGINES[name](worker, 5).results
    for k, size in enumerate(sizes):
        expected = in_rank_order([values(r, size, dtype) for r in range(5)], "mean")
        for rank in range(5):
            assert torch.equal(bits(results[rank][k]), bits(expected))


def test_broadcast_reduce_scatter_and_all_gather_move_what_they_say(engine):
    nodes, size = 3, 70_000

    def worker(node):
        shared = values(node.rank, size)
        node.broadcast(shared, src=1)
        chunk = torch.empty(size)
        node.reduce_scatter(chunk, torch.cat([values(node.rank * 3 + k, size) for k in range(3)]))
        whole = torch.empty(nodes, size)
        node.all_gather(whole, values(node.rank, size))
        return shared, chunk, whole

    for rank, (shared, chunk, whole) in enumerate(engine(worker, nodes).results):
        assert torch.equal(shared, values(1, size))
        expected = in_rank_order([values(r * 3 + rank, size) for r in range(nodes)], "sum")
        torch.testing.assert_close(chunk, expected, rtol=1e-6, atol=0)
        assert torch.equal(whole, torch.stack([values(r, size) for r in range(nodes)]))


def test_lists_of_unequal_chunks_scatter_and_gather(engine):
    sizes = [5, 0, 400_000]

    def worker(node):
        own = torch.empty(sizes[node.rank])
        node.reduce_scatter(own, [values(10 * node.rank + k, n) for k, n in enumerate(sizes)])
        gathered = [torch.empty(n) for n in sizes]
        node.all_gather(gathered, own)
        return own, gathered

    results = engine(worker, 3).results
    owns = [own for own, _ in results]
    for rank, (own, gathered) in enumerate(results):
        expected = in_rank_order([values(10 * r + rank, sizes[rank]) for r in range(3)], "sum")
        torch.testing.assert_close(own, expected, rtol=1e-6, atol=0)
        assert all(torch.equal(a, b) for a, b in zip(gathered, owns, strict=True))


def test_strided_and_empty_and_integer_tensors_take_part(engine):
    def worker(node):
        column = torch.zeros(4, 3)
        column[:, 1] = node.rank + 1.0
        node.all_reduce(column[:, 1])
        node.all_reduce(torch.empty(0))
        count = torch.tensor(node.rank, dtype=torch.int64)
        node.all_reduce(count, op="max")
        return column, count

    for column, count in engine(worker, 3).results:
        assert column[:, 1].tolist() == [6.0] * 4 and column[:, 0].tolist() == [0.0] * 4
        assert count.item() == 2


def test_bytes_and_messages_count_by_the_ring_formula_in_every_engine(engine):
    nodes, size = 4, 4_000  # bytes divide by the nodes

    def worker(node):
        node.all_reduce(torch.zeros(size // 4))
        if node.rank == 0:
            node.send(torch.zeros(10), 1)
        elif node.rank == 1:
            node.recv(torch.zeros(10))

    history = engine(worker, nodes)
    ring = 2 * (nodes - 1) * size // nodes
    assert history.bytes_sent == [ring + 40, ring, ring, ring]
    assert history.messages_sent == [7, 6, 6, 6]


def test_collectives_in_any_mix_and_order_keep_their_values(engine):
    """Slots are used in turn: a fast rank must not overwrite what a slow one still reads."""

    def worker(node):
        order, checks = random.Random(5), []
        for step in range(60):
            kind, size = (
                order.choice(["all_reduce", "broadcast", "all_gather"]),
                order.choice([3, 9_000]),
            )
            if node.rank == step % node.world_size and step % 7 == 0:
                sum(range(100_000))  # be late
            tensor = torch.full((size,), float(node.rank + step))
            if kind == "all_reduce":
                node.all_reduce(tensor)
                checks.append(bool((tensor == 3 + 3 * step).all()))
            elif kind == "broadcast":
                node.broadcast(tensor, src=step % 3)
                checks.append(bool((tensor == step % 3 + step).all()))
            else:
                out = torch.empty(3, size)
                node.all_gather(out, tensor)
                checks.append(bool((out == torch.arange(3.0)[:, None] + step).all()))
        return all(checks)

    assert engine(worker, 3).results == [True] * 3


@pytest.mark.parametrize("how", ["recv", "irecv", "broadcast", "all_reduce", "reduce_scatter", "all_gather"])
def test_a_backward_pass_fails_whose_parameters_a_call_has_overwritten(engine, how):
    def worker(node, how):
        model, x, y = lab.make_model(seed=0), torch.ones(4, 784), torch.zeros(4, 1)
        loss = lab.bce_with_logits(model(x), y)
        theta = lab.parameters(model)
        if how in ("broadcast", "all_reduce"):
            getattr(node, how)(theta, *([0] if how == "broadcast" else []))
        elif how == "reduce_scatter":
            node.reduce_scatter(theta, torch.zeros(2 * len(theta)))
        elif how == "all_gather":
            node.all_gather(theta[:-1], torch.zeros(len(theta) // 2))
        elif node.rank == 0:
            node.send(torch.zeros_like(theta), 1)
        else:
            node.recv(theta, 0) if how == "recv" else node.irecv(theta, 0).wait()
        try:
            lab.gradient(loss, model)
        except RuntimeError as error:
            return "modified by an inplace operation" in str(error)
        return False

    assert engine(worker, 2, args=(how,)).results[1]


# messages


def test_messages_of_any_size_arrive_whole(engine):
    sizes = (0, 1, 1_000, 131_073, 3_000_000)

    def worker(node):
        if node.rank == 0:
            for size in sizes:
                node.send(torch.arange(size, dtype=torch.float32), 1)
            return None
        received = [torch.zeros(size) for size in sizes]
        for tensor in received:
            node.recv(tensor, 0)
        return received

    received = engine(worker, 2).results[1]
    assert all(torch.equal(r, torch.arange(len(r), dtype=torch.float32)) for r in received)


def test_messages_are_first_in_first_out_per_tag_and_tags_pass_each_other(engine):
    def worker(node):
        if node.rank == 0:
            handles = [node.isend(torch.tensor(10.0 * k), 1, tag=k % 2) for k in range(6)]
            return [h.wait() for h in handles]
        box, got = torch.zeros(()), []
        for tag in (1, 1, 1, 0, 0, 0):
            node.recv(box, 0, tag=tag)
            got.append(box.item())
        return got

    results = engine(worker, 2).results
    assert results == [[1] * 6, [10.0, 30.0, 50.0, 0.0, 20.0, 40.0]]


def test_many_large_isends_are_received_in_any_order_of_tags(engine):
    def worker(node):
        if node.rank == 0:
            handles = [node.isend(torch.full((90_000,), float(k)), 1, tag=k) for k in range(40)]
            for handle in handles:
                handle.wait()
            return True
        box = torch.zeros(90_000)
        right = []
        for tag in reversed(range(40)):
            node.recv(box, 0, tag=tag)
            right.append(bool((box == tag).all()))
        return all(right)

    assert engine(worker, 2).results == [True, True]


def test_isend_and_irecv_overlap(engine):
    def worker(node):
        peer = 1 - node.rank
        out, box = torch.full((200_000,), float(node.rank)), torch.zeros(200_000)
        incoming = node.irecv(box, peer)
        outgoing = node.isend(out, peer)
        sources = (incoming.wait(), outgoing.wait())
        return sources, incoming.done(), bool((box == peer).all())

    assert engine(worker, 2).results == [((1, 1), True, True), ((0, 0), True, True)]


def test_recv_from_any_source_returns_the_sender(engine):
    def worker(node):
        if node.rank:
            node.send(torch.tensor(float(node.rank)), 0)
            return None
        box, got = torch.zeros(()), {}
        for _ in range(node.world_size - 1):
            source = node.recv(box)
            got[source] = box.item()
        return got

    assert engine(worker, 4).results[0] == {1: 1.0, 2: 2.0, 3: 3.0}


def test_send_returns_only_after_the_receiver_has_taken_the_message(engine):
    def worker(node):
        box = torch.zeros(1)
        if node.rank == 0:
            node.send(box, 1)
            return node.now()
        with node.compute(seconds=0.2):
            torch.linalg.svd(torch.rand(300, 300))
        taking = node.now()
        node.recv(box, 0)
        return taking

    sent, taking = engine(worker, 2).results
    assert sent >= taking


def test_sends_that_nobody_waits_for_do_not_pile_up(engine):
    def worker(node):
        tensor = torch.zeros(1)
        for _ in range(500):
            if node.rank == 0:
                node.isend(tensor, 1)
                node.recv(tensor, 1)
            else:
                node.recv(tensor, 0)
                node.send(tensor, 0)
        return len(node._family.unfinished)

    history = engine(worker, 2)
    assert history.results[0] <= 33
    assert history.messages_sent == [500, 500]


def test_a_message_posted_and_not_waited_for_is_delivered(engine):
    def worker(node):
        box = torch.zeros(800_000)
        if node.rank == 0:
            node.isend(box + 7, 1)
        else:
            node.recv(box, 0)
        return box[0].item()

    assert engine(worker, 2).results == [0.0, 7.0]


# groups


def test_groups_renumber_nest_and_stay_apart(engine):
    def worker(node):
        half = node.group([0, 2]) if node.rank % 2 == 0 else node.group([3, 1])
        told = (half.rank, half.world_size)
        tensor = torch.tensor([float(node.rank)])
        half.all_reduce(tensor)
        alone = half.group([half.rank])
        alone.all_reduce(tensor)
        box = torch.tensor([float(node.rank)])
        if half.rank == 0:
            half.send(box, 1)
        else:
            half.recv(box, 0)
        node.all_reduce(tensor)
        return told, tensor.item(), box.item()

    results = engine(worker, 4).results
    assert [r[0] for r in results] == [(0, 2), (1, 2), (1, 2), (0, 2)]
    assert [r[1] for r in results] == [12.0] * 4
    assert [r[2] for r in results] == [0.0, 3.0, 0.0, 3.0]


def test_a_rank_may_be_in_64_groups_with_collectives(engine):
    def worker(node):
        met = 0
        for size in (1, 2, 3, 4):
            for others in itertools.combinations(range(1, 8), size):
                if node.rank in (0, *others):
                    node.group([0, *others]).barrier()
                    met += 1
                    node.record(met=met)

    with pytest.raises(lab.WorkerError, match="in 64 groups with collectives; this is one more") as caught:
        engine(worker, 8)
    assert caught.value.history.metrics.met.max() == 64


def test_a_group_call_of_a_non_member_is_refused(engine):
    def worker(node):
        return node.group([1]).rank

    with pytest.raises(lab.WorkerError, match=r"group\(\[1\]\): rank 0 calls it but is no member"):
        engine(worker, 2)


# spans and metrics


def test_spans_tell_who_computed_who_waited_and_who_sent(engine):
    def worker(node):
        with node.compute(seconds=0.1 if node.rank else 0.0):
            end = node.now() + 0.1 * node.rank
            while node.rank and history_clock(node) < end:
                pass
        node.barrier()
        if node.rank == 0:
            node.send(torch.zeros(100), 1)
        else:
            node.recv(torch.zeros(100), 0)

    def history_clock(node):
        return node.now() if node.now() else math.inf  # the virtual clock stands still inside a span

    history = engine(worker, 2)
    spans = history.spans
    assert set(spans.kind) <= {"compute", "send", "recv", "wait", *COLLECTIVES}
    waited = spans[(spans["rank"] == 0) & (spans.kind == "wait") & (spans.label == "barrier")]
    assert 0.05 < (waited.end_s - waited.start_s).sum() < 5
    send, recv = spans[spans.kind == "send"].iloc[0], spans[spans.kind == "recv"].iloc[0]
    assert (send["rank"], send.peer, send.bytes) == (0, 1, 400)
    assert (recv["rank"], recv.peer, recv.bytes) == (1, 0, 400)
    assert (spans.end_s >= spans.start_s).all() and history.elapsed_s >= spans.end_s.max()


def test_metrics_are_rows_by_rank_and_step(engine):
    def worker(node):
        for step in range(3):
            node.record(loss=torch.tensor(step + 0.5, requires_grad=True), rank_twice=2 * node.rank)
        node.record(last=1)

    metrics = engine(worker, 2).metrics
    assert metrics["rank"].tolist() == [0] * 4 + [1] * 4
    assert metrics.step.tolist() == [0, 1, 2, 3] * 2
    assert metrics.loss.tolist()[:3] == [0.5, 1.5, 2.5] and math.isnan(metrics.loss[3])
    assert metrics.rank_twice.dropna().tolist() == [0, 0, 0, 2, 2, 2]


# the same function, the same numbers


def train(node, digits, model, lr):
    """Design.md's worker, with a captured model and a mutable."""
    noise = 1e-3 * torch.randn(())
    for step, (x, y) in enumerate(lab.batches(digits.train, node, batch_size=32)):
        with node.compute(samples=len(x)):
            loss = lab.bce_with_logits(model(x), y) + noise * np.random.rand() * random.random()
            gradient = lab.gradient(loss, model)
        node.all_reduce(gradient, op="mean")
        lab.sgd_step(model, gradient, lr=lr)
        node.record(loss=loss)
        seen.append(step)
        if step == 5:
            break
    return lab.parameters(model), len(seen)


seen = []


def test_a_synchronous_worker_gives_the_same_bits_in_processes_and_simulated():
    digits, model = lab.load_digits(), lab.make_model(seed=3)
    before = lab.parameters(model).clone()
    real = lab.run(train, 3, args=(digits, model, 0.1), progress=False)
    virtual = lab.simulate(train, 3, args=(digits, model, 0.1))
    for rank in range(3):
        assert torch.equal(bits(real.results[rank][0]), bits(virtual.results[rank][0]))
        assert real.results[rank][1] == virtual.results[rank][1] == 6
    assert real.metrics.loss.tolist() == virtual.metrics.loss.tolist()
    assert torch.equal(lab.parameters(model), before), "the caller's model must not be trained"
    assert not torch.equal(real.results[0][0], before), "the nodes' models must be"
    assert seen == [], "the caller's list must not be appended to"
    assert real.bytes_sent == virtual.bytes_sent and real.messages_sent == virtual.messages_sent


def test_over_gloo_the_numbers_agree_to_rounding():
    digits, model = lab.load_digits(), lab.make_model(seed=3)
    ours = lab.run(train, 3, args=(digits, model, 0.1), progress=False).results[0][0]
    gloo = lab.run(train, 3, args=(digits, model, 0.1), transport="gloo", progress=False).results[0][0]
    assert (ours - gloo).norm() <= 1e-6 * ours.norm()


def test_global_random_states_belong_to_the_node(engine):
    def worker(node):
        torch.manual_seed(100 + node.rank)
        random.seed(node.rank)
        np.random.seed(node.rank)
        drawn = []
        for _ in range(4):
            drawn.append((torch.rand(1).item(), random.random(), float(np.random.rand())))
            node.barrier()
        return drawn

    results = engine(worker, 3).results
    for rank in range(3):
        own, numbers = torch.Generator().manual_seed(100 + rank), random.Random(rank)
        state = np.random.RandomState(rank)
        expected = [
            (torch.rand(1, generator=own).item(), numbers.random(), float(state.rand())) for _ in range(4)
        ]
        assert results[rank] == expected


def test_unseeded_random_numbers_differ_by_rank_and_agree_between_engines():
    def worker(node):
        return torch.rand(2).tolist(), random.random(), float(np.random.rand())

    by_engine = [run(worker, 3).results for run in ENGINES.values()]
    assert by_engine[0] == by_engine[1] == by_engine[2]
    assert len({str(result) for result in by_engine[0]}) == 3


def test_communicating_under_no_grad_is_safe(engine):
    def worker(node):
        tensor = torch.ones(3)
        before = torch.is_grad_enabled()
        with torch.no_grad():
            node.all_reduce(tensor)
            inside = torch.is_grad_enabled()
        node.barrier()
        return before, inside, torch.is_grad_enabled()

    assert engine(worker, 3).results == [(True, False, True)] * 3


@pytest.mark.parametrize("mode", ["inference", "autocast", "backward"])
def test_calls_in_modes_that_would_leak_are_refused(engine, mode):
    def worker(node):
        if mode == "inference":
            with torch.inference_mode():
                node.barrier()
        elif mode == "autocast":
            with torch.autocast("cpu", dtype=torch.bfloat16):
                node.barrier()
        else:
            weight = torch.ones(2, requires_grad=True)
            weight.register_hook(lambda gradient: node.all_reduce(gradient))
            weight.sum().backward()

    with pytest.raises(lab.WorkerError, match=mode if mode != "inference" else "inference_mode"):
        engine(worker, 2)


def test_a_tensor_of_inference_mode_is_read_and_never_written_to(engine):
    def worker(node):
        with torch.inference_mode():
            made = torch.full((2,), 3.0)
        other, got = 1 - node.rank, torch.zeros(2)
        handle = node.isend(made, other)
        node.recv(got, other)
        handle.wait()
        told = []
        for call in (
            lambda: node.all_reduce(made),
            lambda: node.broadcast(made, 0, async_op=True),
            lambda: node.recv(made, other),
        ):
            with pytest.raises(ValueError) as caught:
                call()
            told.append("made in torch.inference_mode(), outside" in str(caught.value))
        return got.tolist(), made.tolist(), told

    assert engine(worker, 2).results == [([3.0, 3.0], [3.0, 3.0], [True] * 3)] * 2


def test_an_error_says_when_and_there_its_history_ends(engine):
    def worker(node):
        with node.compute(seconds=0.01):
            pass
        node.record(at=node.now())
        if node.rank == 1:
            raise ValueError("no")
        while True:
            with node.compute(seconds=0.01):
                pass
            node.record(at=node.now())
            node.recv(torch.empty(1), 1)

    with pytest.raises(lab.WorkerError, match="rank 1 raised ValueError: no") as caught:
        engine(worker, 2)
    at_s, history = caught.value.at_s, caught.value.history
    (raised_after,) = history.metrics[history.metrics["rank"] == 1]["at"]
    assert raised_after <= at_s == history.elapsed_s and not caught.value.killed
    assert history.metrics["time_s"].max() <= at_s and history.spans["end_s"].max() <= at_s
