"""Tensors in shared memory: whose they are, when their room is used again, and that sums stay the same."""

import gc

import pytest
import torch

import ddl_lab as lab
from ddl_lab.processes.transports.areas import SMALL, Arena, Region
from ddl_lab.training import buffers

COUNT = 2**13  # 32 kB: worth a place of its own


@pytest.fixture
def memory():
    return torch.zeros(2**20, dtype=torch.uint8)


@pytest.fixture
def arena(memory):
    return Arena(memory.data_ptr(), 64, 3 * 4 * COUNT)  # room for three


def test_a_tensor_of_the_arena_lies_in_the_shared_bytes(arena, memory):
    tensor = arena.empty(COUNT).fill_(1.5)
    place = arena.place(tensor)
    assert place >= 64 and arena.place(tensor[10:]) == place + 40
    assert torch.equal(memory[place : place + 4 * COUNT].view(torch.float32), tensor)
    assert arena.place(torch.zeros(COUNT)) == 0


def test_room_is_used_again_only_when_the_last_view_has_died(arena):
    tensor = arena.empty(COUNT)
    place = arena.place(tensor)
    view = tensor[5:7]
    del tensor
    gc.collect()
    others = [arena.empty(COUNT) for _ in range(2)]
    assert place not in map(arena.place, others)
    assert arena.empty(COUNT) is None  # full: the view holds its piece
    del view
    gc.collect()
    assert arena.place(arena.empty(COUNT)) == place


def test_tensors_that_live_side_by_side_do_not_overlap(arena):
    tensors = [arena.empty(COUNT).fill_(float(i)) for i in range(3)]
    assert [t.unique().tolist() for t in tensors] == [[0.0], [1.0], [2.0]]


@pytest.mark.parametrize("count", [0, SMALL // 4, 2**21])
def test_what_is_too_small_or_too_large_gets_no_place(arena, count):
    assert arena.empty(count) is None


def test_what_is_no_float32_is_joined_in_memory_of_its_own(arena, monkeypatch):
    monkeypatch.setattr(buffers, "_suppliers", [arena.empty])
    parts = [torch.ones(COUNT - 1), torch.zeros(1)]
    assert (
        arena.place(buffers.joined(parts)) and arena.place(buffers.joined([p.double() for p in parts])) == 0
    )
    assert torch.equal(buffers.joined(parts), torch.cat(parts))


def mixed(node, shared_ranks, count, op):
    """All-reduce a tensor that lies in the arena on ``shared_ranks`` and in memory of its own elsewhere."""
    values = torch.linspace(node.rank, node.rank + 1, count)
    port = getattr(node, "_port")  # noqa: B009  (a simulated one has no arena)
    room = port.arena.empty(count) if hasattr(port, "arena") and node.rank in shared_ranks else None
    tensor = values if room is None else room.copy_(values)
    totals = []
    for k in range(3):  # one after another: a rank that is ahead must not disturb one that reads still
        tensor.add_(0.1 * k)
        node.all_reduce(tensor, op=op)
        totals.append(tensor.clone())
    part = tensor[1 : count // 2]
    node.all_reduce(part, op=op)  # a piece of it, beginning anywhere
    lone = torch.full((count,), float(node.rank))
    node.all_reduce(lone, op=op)
    return [*totals, tensor, lone], port.arena.place(tensor) != 0 if hasattr(port, "arena") else None


@pytest.mark.parametrize("op", ["sum", "mean", "max"])
@pytest.mark.parametrize(
    ("nodes", "shared_ranks"), [(2, (0,)), (2, (1,)), (2, (0, 1)), (3, (2,)), (5, (0, 3, 4))]
)
def test_sums_are_those_of_the_simulation_wherever_the_tensors_lie(nodes, shared_ranks, op):
    args = (shared_ranks, 300_000, op)  # more than one block
    real = lab.run(mixed, nodes, args=args, progress=False)
    virtual = lab.simulate(mixed, nodes, args=args)
    assert [in_arena for _, in_arena in real.results] == [rank in shared_ranks for rank in range(nodes)]
    for (ours, _), (theirs, _) in zip(real.results, virtual.results, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_gradients_lie_where_all_ranks_reach_them_and_are_the_learners_own():
    digits = lab.load_digits()

    def worker(node):
        model = lab.make_model(seed=0)
        x, y = digits.train.x[: 8 + node.rank], digits.train.y[: 8 + node.rank]
        first = lab.gradient(lab.bce_with_logits(model(x), y), model)
        kept = first.clone()
        for _ in range(30):  # more than there is room for at once, were they all kept
            gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
            node.all_reduce(gradient, op="mean")
            lab.sgd_step(model, gradient, lr=0.1)
        return node._port.arena.place(first) != 0, torch.equal(first, kept)

    assert lab.run(worker, 2, progress=False).results == [(True, True)] * 2


def posts(node, count, dtype):
    """Post often, wait each time: where the copies lay (True: in shared memory), and if all room is free."""
    port, lay = node._port, []
    for _ in range(30):  # of the larger ones more than there is room for at once
        tensor, output = torch.ones(count).to(dtype), torch.zeros(2 * count).to(dtype)
        handle = node.all_gather(output, tensor, async_op=True)
        lay.append(port._ready_room.offset_of(handle._asked.work.given.data_ptr() - port._address) > 0)
        handle.wait()
        assert torch.equal(output.to(torch.complex64), torch.ones(2 * count).to(torch.complex64))
    node.barrier()  # what the other one says of the last of them was said before
    return lay, port._ready_room.take(Region.READY_SIZE) is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.float8_e5m2, torch.complex64])
@pytest.mark.parametrize("count, shared", [(4, False), (1_500_000, True)])
def test_what_a_posted_collective_gives_is_copied_once_where_its_readers_find_it(dtype, count, shared):
    run = lab.run(posts, 2, args=(count, dtype), transport="shm", progress=False)
    assert run.results == [([shared] * 30, True)] * 2


def posts_many(node):
    """Post more than there is room for, then wait for all, last ones first."""
    tensors = [torch.full((1_000_000,), float(k + node.rank)) for k in range(12)]
    handles = [node.all_reduce(tensor, async_op=True) for tensor in tensors]
    port = node._port
    places = [handle._asked.work.given.data_ptr() - port._address for handle in handles]
    for handle in reversed(handles):
        handle.wait()
    return [port._ready_room.offset_of(p) > 0 for p in places], [t.unique().tolist() for t in tensors]


def test_posted_collectives_that_find_no_room_are_carried_out_all_the_same():
    for lay, sums in lab.run(posts_many, 2, transport="shm", progress=False).results:
        assert True in lay and False in lay
        assert sums == [[2.0 * k + 1] for k in range(12)]
