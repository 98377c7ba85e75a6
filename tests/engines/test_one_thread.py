"""Who calls a node: coroutines may, other threads may not; and what class a tensor is makes no difference."""

import asyncio
import sys
import threading
from functools import partial

import pytest
import torch
from torch.testing._internal.two_tensor import TwoTensor

import ddl_lab as lab

ENGINES = {
    "shm": partial(lab.run, transport="shm", progress=False, timeout_s=60),
    "gloo": partial(lab.run, transport="gloo", progress=False, timeout_s=60),
    "simulate": lab.simulate,
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


# asyncio


async def numbers(count):
    for k in range(count):
        yield k


def in_a_loop(node):
    """Two tasks and an asynchronous generator on a loop of this node's own, with calls between."""

    async def part(k):
        tensor = torch.tensor([node.rank + 10.0 * k])
        await asyncio.sleep(0)
        node.all_reduce(tensor)
        await asyncio.sleep(0)
        return tensor.item()

    async def main():
        node.barrier()
        first = await asyncio.gather(part(0), part(1))
        async for k in numbers(3):
            first.append(await part(k))
        return first, asyncio.get_running_loop().is_running()

    return asyncio.run(main())


EXPECTED = [([3.0, 33.0, 3.0, 33.0, 63.0], True)] * 3


def test_a_worker_may_call_its_node_from_a_loop_of_its_own(engine):
    assert engine(in_a_loop, 3).results == EXPECTED


def test_it_may_where_the_caller_has_a_loop_that_runs_as_a_notebook_has(engine):
    async def cell():
        before = asyncio.get_running_loop(), asyncio.current_task(), sys.get_asyncgen_hooks()
        results = engine(in_a_loop, 3).results
        after = asyncio.get_running_loop(), asyncio.current_task(), sys.get_asyncgen_hooks()
        await asyncio.sleep(0)
        return results, before == after, asyncio.get_event_loop() is before[0]

    assert asyncio.run(cell()) == (EXPECTED, True, True)


def test_a_loop_that_ends_with_an_error_leaves_the_callers_as_it_was(engine):
    def worker(node):
        async def main():
            node.barrier()
            if node.rank:
                raise ValueError("inside")
            node.recv(torch.empty(1), 1)

        asyncio.run(main())

    async def cell():
        before = asyncio.get_running_loop(), sys.get_asyncgen_hooks()
        with pytest.raises(lab.WorkerError, match="rank 1 raised ValueError: inside"):
            engine(worker, 2)
        return before == (asyncio.get_running_loop(), sys.get_asyncgen_hooks())

    assert asyncio.run(cell())


def test_a_simulation_leaves_the_loop_that_was_set():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        lab.simulate(in_a_loop, 3)
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


# threads


def told_in_a_thread(call):
    """What ``call`` says where another thread than the worker's makes it."""
    said = []

    def other():
        try:
            call()
        except RuntimeError as error:
            said.append(str(error))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    return said


def test_a_call_from_another_thread_is_refused_and_the_workers_own_go_on(engine):
    def worker(node):
        box = torch.zeros(1)
        sent = node.isend(box, 1 - node.rank)
        calls = [
            lambda: node.send(box, 1 - node.rank),
            lambda: node.irecv(box, 1 - node.rank),
            lambda: node.all_reduce(box),
            lambda: node.all_reduce(box, async_op=True),
            lambda: node.group([node.rank]).barrier(),
            lambda: node.compute(seconds=0).__enter__(),
            lambda: sent.wait(),
            lambda: sent.done(),
        ]
        said = [told_in_a_thread(call) for call in calls]
        node.recv(box, 1 - node.rank)
        sent.wait()
        return said

    for rank, said in enumerate(engine(worker, 2).results):
        assert [len(lines) for lines in said] == [1] * 8
        assert said[0][0].startswith(f"node.send on rank {rank} in a thread: only the thread that runs")
        assert "queue.Queue" in said[-1][0]


def test_a_thread_may_compute_record_and_ask_the_time_beside_the_worker(engine):
    def worker(node):
        done = []

        def other():
            node.record(loss=torch.rand(8, 8).det())
            done.append((node.rank, node.now() >= 0))

        thread = threading.Thread(target=other)
        thread.start()
        node.barrier()
        thread.join()
        return done

    assert engine(worker, 2).results == [[(0, True)], [(1, True)]]


# kinds of tensors


class Tagged(torch.Tensor):
    """A user's own kind, with something to remember."""


class Counted(torch.Tensor):
    """One that hears of every operation."""

    heard = 0

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.heard += 1
        return super().__torch_function__(func, types, args, kwargs or {})


@pytest.mark.parametrize("kind", [Tagged, Counted])
def test_a_kind_of_tensor_of_the_users_own_is_captured_sent_and_returned(engine, kind):
    captured = torch.arange(3.0).as_subclass(kind)
    captured.note = ["kept"]

    def worker(node):
        box = captured + node.rank
        node.all_reduce(box)
        node.broadcast(box, 0)
        if node.rank:
            node.recv(box, 0)
        else:
            node.send(box * 2, 1)
        return type(captured) is kind, box, captured

    for rank, (own, box, back) in enumerate(engine(worker, 2).results):
        assert own and type(box) is kind and type(back) is kind and back.note == ["kept"]
        assert box.tolist() == [[1.0, 3.0, 5.0], [2.0, 6.0, 10.0]][rank]


def test_a_tensor_that_is_made_of_others_is_captured_and_returned_but_not_sent(engine):
    pair = TwoTensor(torch.ones(2), torch.zeros(2))

    def worker(node):
        try:
            node.all_reduce(pair)
        except ValueError as error:
            return str(error), pair
        return "taken", pair

    for said, back in engine(worker, 2).results:
        assert said == (
            "node.all_reduce takes tensors with memory of their own; it got a TwoTensor, which is made of "
            "others: give it those, one by one."
        )
        assert type(back) is TwoTensor and back.a.tolist() == [1, 1] and back.b.tolist() == [0, 0]
