"""A tensor is in use from ``isend`` or ``irecv`` to ``wait``: who writes to it meanwhile is told."""

from functools import partial

import pytest
import torch

import ddl_lab as lab

RUN = partial(lab.run, progress=False, timeout_s=60)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
}
SIZES = (1, 5_000, 400_000)  # in a record, laid ready, in pieces


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


def said(handle):
    """What ``wait`` says, or None where it accuses nobody."""
    try:
        handle.wait()
    except lab.LabError as error:
        return str(error)
    return None


def receive(node, count, like=torch.float32):
    box = torch.zeros(count, dtype=like)
    node.recv(box, 0)
    return box


@pytest.mark.parametrize("size", SIZES)
def test_a_tensor_that_is_written_before_wait_is_an_error_and_its_receiver_has_the_snapshot(engine, size):
    def worker(node, size):
        if node.rank == 1:
            return receive(node, size).unique().tolist()
        tensor = torch.ones(size)
        handle = node.isend(tensor, 1)
        tensor[-1] = 2.0
        return said(handle), said(handle), handle.done()

    (told, again, done), got = engine(worker, 2, args=(size,)).results
    assert "isend(dst=1, tag=0) on rank 0: the tensor was written before the handle's wait()" in told
    assert "torn data" in told and again is None and done
    assert got == [1.0]


def test_done_tells_it_as_wait_does(engine):
    def worker(node):
        if node.rank == 1:
            return receive(node, 3).tolist()
        tensor = torch.ones(3)
        handle = node.isend(tensor, 1)
        tensor.zero_()
        try:
            while not handle.done():
                pass
        except lab.LabError as error:
            return "written before" in str(error)
        return False

    assert engine(worker, 2).results == [True, [1.0] * 3]


def test_an_error_that_nobody_catches_names_the_rank_and_the_line(engine):
    def worker(node):
        if node.rank == 1:
            return receive(node, 3)
        tensor = torch.ones(3)
        handle = node.isend(tensor, 1)
        tensor += 1
        return handle.wait()

    with pytest.raises(lab.WorkerError, match=r"rank 0 raised LabError: isend(.|\n)*return handle.wait\(\)"):
        engine(worker, 2)


@pytest.mark.parametrize("size", SIZES)
def test_a_write_by_numpy_which_torch_does_not_count_is_noticed(engine, size):
    def worker(node, size):
        tensor, peer = torch.ones(size), 1 - node.rank
        array, told = tensor.numpy(), []
        for factor in (1, 2):
            sending = node.isend(tensor, peer)
            array *= factor
            node.recv(torch.empty(size), peer)
            told.append(said(sending) is not None)
            adding = node.all_reduce(tensor, async_op=True)
            array *= factor
            told.append(said(adding) is not None)
        array /= factor  # as it was
        adding.wait()
        return told

    assert engine(worker, 2, args=(size,)).results == [[False, False, True, True]] * 2


@pytest.mark.parametrize("place", [0, 16_000, 16_383])
def test_of_64_kilobytes_every_byte_counts(engine, place):
    def worker(node, place):
        if node.rank == 1:
            return receive(node, 2**14)[0].item()
        tensor = torch.ones(2**14)
        handle = node.isend(tensor, 1)
        tensor.numpy()[place] = 2
        return said(handle) is not None

    assert engine(worker, 2, args=(place,)).results == [True, 1.0]


@pytest.mark.parametrize("size", SIZES)
def test_another_part_of_the_same_memory_may_be_written(engine, size):
    """All views share one count of writes, so that alone would accuse a ring all-reduce."""

    def worker(node, size):
        if node.rank == 1:
            return receive(node, size).unique().tolist()
        whole = torch.ones(3, size)
        handle = node.isend(whole[1], 1)
        whole[0] += 1
        whole[2].zero_()
        return said(handle)

    assert engine(worker, 2, args=(size,)).results == [None, [1.0]]


def test_a_write_that_changes_no_byte_is_none(engine):
    def worker(node):
        if node.rank == 1:
            return [receive(node, 4).tolist() for _ in range(2)]
        tensor = torch.tensor([1.0, float("nan"), -0.0, 3.0])
        handle = node.isend(tensor, 1)
        tensor.mul_(1.0)
        same = said(handle)
        handle = node.isend(tensor, 1)
        tensor[2] = 0.0  # equal to -0.0, and other bytes
        return same, said(handle)

    same, changed = engine(worker, 2).results[0]
    assert same is None and "written" in changed


def test_what_does_not_lie_flat_is_compared_as_it_travelled(engine):
    def worker(node):
        if node.rank == 1:
            return [receive(node, 4), receive(node, 3, torch.complex64), receive(node, 4)]
        square, numbers, weight = torch.ones(4, 4), torch.ones(3) * 1j, torch.nn.Parameter(torch.ones(4))
        told = []
        for sent, write in (
            (square[:, 1], lambda: square[:, 1].fill_(5.0)),
            (numbers.conj(), lambda: numbers.add_(1)),
            (weight, lambda: weight.data.add_(1)),  # which torch does not count
        ):
            handle = node.isend(sent, 1)
            write()
            told.append(said(handle))
        return [text is not None for text in told]

    assert engine(worker, 2).results[0] == [True, True, True]


def test_after_wait_the_tensor_is_free_and_a_handle_let_go_of_accuses_nobody(engine):
    def worker(node):
        if node.rank == 1:
            return [receive(node, 5_000)[0].item() for _ in range(200)]
        tensor = torch.zeros(5_000)
        for k in range(100):
            handle = node.isend(tensor.fill_(float(k)), 1)
            handle.wait()
            tensor.fill_(-1.0)
            handle.wait()
        for k in range(100):  # more than lie ready at once
            node.isend(tensor.fill_(float(k)), 1)
        return None

    assert engine(worker, 2).results[1] == [float(k) for k in range(100)] * 2


def test_a_tensor_that_a_receive_is_posted_for_is_in_use(engine):
    def worker(node):
        if node.rank == 0:
            node.send(torch.ones(4), 1)
            return None
        box = torch.zeros(4)
        handle = node.irecv(box, 0)
        box.fill_(7.0)
        told = said(handle)
        return told, said(handle)

    told, again = engine(worker, 2).results[1]
    assert "irecv(src=0, tag=0) on rank 1: the tensor was written before the handle's wait()" in told
    assert "would mix" in told and again is None


def test_receives_into_parts_of_one_tensor_accuse_nobody(engine):
    """Each marks the memory of all as changed; only a tensor that owns its memory is judged."""

    def worker(node):
        if node.rank == 0:
            for k in range(4):
                node.send(torch.full((3,), float(k)), 1, tag=k)
            return None
        whole = torch.zeros(4, 3)
        handles = [node.irecv(row, 0, tag=k) for k, row in enumerate(whole)]
        boxes = [torch.zeros(3) for _ in range(2)]
        assert all(handle.wait() == 0 for handle in reversed(handles))
        return whole[:, 0].tolist(), boxes[0].tolist()

    assert engine(worker, 2).results[1][0] == [0.0, 1.0, 2.0, 3.0]


def test_swapping_and_adding_after_both_waits_accuses_nobody(engine):
    def worker(node):
        mine, theirs, peer = torch.full((70_000,), node.rank + 1.0), torch.zeros(70_000), 1 - node.rank
        for _ in range(20):
            coming, going = node.irecv(theirs, peer), node.isend(mine, peer)
            coming.wait()
            going.wait()
            mine.add_(theirs).mul_(0.5)
        return mine.unique().tolist()

    assert engine(worker, 2).results == [[1.5], [1.5]]


def test_recursive_doubling_as_it_stood_is_the_race_that_it_was(engine):
    """Adding before ``wait``: right by the snapshot here, torn on a network."""

    def worker(node):
        tensor, box = torch.full((300_000,), node.rank + 1.0), torch.zeros(300_000)
        sending = node.isend(tensor, 1 - node.rank)
        node.recv(box, 1 - node.rank)
        tensor += box
        return said(sending) is not None, tensor[0].item()

    assert engine(worker, 2).results == [(True, 3.0)] * 2
