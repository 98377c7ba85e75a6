"""Very many messages at once: posting never blocks, and each takes the same time however many wait."""

import time
from functools import partial

import pytest
import torch
from faulty import FUZZ

import ddl_lab as lab

RUN = partial(lab.run, progress=False, timeout_s=400)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
}


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


def posting(node, count, tags):
    """Rank 0 posts all before it waits; rank 1 takes them from the last tag to the first."""
    value = torch.zeros(1)
    if node.rank == 0:
        for handle in [node.isend(value, 1, tag=k % tags) for k in range(count)]:
            handle.wait()
        return 0
    taken = 0
    for tag in reversed(range(tags)):
        for _ in range(tag, count, tags):
            taken += 1 + node.recv(value, None if tag % 2 else 0, tag=tag)
    return taken


MANY = 100_000 if FUZZ else 20_000


@pytest.mark.parametrize(("name", "count"), [("simulate", MANY), ("shm", MANY), ("gloo", MANY // 5)])
def test_tens_of_thousands_of_messages_are_posted_and_taken(name, count):
    history = ENGINES[name](posting, 2, args=(count, 7))
    assert history.results == [0, count]
    assert history.messages_sent == [count, 0]


@pytest.mark.parametrize("size", [1, 200, 3_000])
def test_posting_does_not_block_while_the_receiver_computes(engine, size, tmp_path):
    """Rank 1 calls the node only when rank 0 has posted more than any pipe or room holds."""

    def worker(node, size, posted):
        if node.rank == 0:
            handles = [node.isend(torch.full((size,), float(k)), 1) for k in range(2_000)]
            posted.touch()
            return [handle.wait() for handle in handles] == [1] * 2_000
        while not posted.exists():
            time.sleep(0.01)
        box, right = torch.zeros(size), True
        for k in range(2_000):
            node.recv(box, 0)
            right = right and bool((box == k).all())
        return right

    assert engine(worker, 2, args=(size, tmp_path / "posted")).results == [True, True]


def test_all_may_post_to_all_before_anyone_receives(engine):
    def worker(node):
        others = [rank for rank in range(node.world_size) if rank != node.rank]
        sent = [node.isend(torch.tensor([float(k)]), r) for k in range(1_000) for r in others]
        boxes = [torch.zeros(1) for _ in sent]
        came = [node.irecv(box, others[k % 2]) for k, box in enumerate(boxes)]
        node.barrier()
        assert [handle.wait() for handle in came] == others * 1_000
        for handle in sent:
            handle.wait()
        return all(box.item() == k // 2 for k, box in enumerate(boxes))

    assert engine(worker, 3).results == [True] * 3


def test_messages_posted_to_a_rank_that_has_returned_are_a_deadlock_in_words(engine):
    def worker(node):
        if node.rank == 0:
            for _ in range(2_000):
                node.isend(torch.zeros(1), 1)

    with pytest.raises(
        lab.DeadlockError, match=r"rank 0 waits in isend\(dst=1, tag=0\)(.|\n)*rank 1 returned already"
    ):
        engine(worker, 2)


def test_what_a_rank_owes_others_is_sent_before_it_ends(engine):
    """Rank 1 takes all and returns, while rank 0 looks at no inbox: its own has no room for the news."""

    def worker(node):
        box = torch.zeros(20)
        if node.rank == 0:
            handles = [node.isend(box, 1) for _ in range(3_000)]
            with node.compute(seconds=1):
                time.sleep(1)
            return sum(handle.wait() for handle in handles)
        for _ in range(3_000):
            node.recv(box, 0)
        return 0

    assert engine(worker, 2).results == [3_000, 0]
