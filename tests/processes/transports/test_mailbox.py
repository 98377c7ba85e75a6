"""Messages between real processes over shared memory: when a send is over."""

import os
import time

import pytest
import torch
from waiting import wait_until

import ddl_lab as lab


def meet_by_hand(node, count, go):
    """Rank 1 receives; rank 0 sends once the file ``go`` is there, then says so in its metrics."""
    if node.rank == 1:
        got = torch.zeros(count)
        node.recv(got, 0)
        return got.sum().item()
    while not os.path.exists(go):
        time.sleep(0.01)
    node.send(torch.ones(count), 1)
    node.record(sent=1)
    return None


@pytest.fixture
def held(tmp_path, request):
    """A run whose rank 1 waits in recv and is then paused: it can take no message."""
    go = tmp_path / "go"
    run = lab.start(meet_by_hand, 2, transport="shm", args=(request.param, str(go)), progress=False)
    run._supervisor.started.wait()
    wait_until(lambda: run._supervisor._resources.board.read(1).wait.call == "recv(src=0, tag=0)")
    run.pause(1)
    go.touch()
    yield run
    run.stop()


@pytest.mark.parametrize("held", [1, 5_000], indirect=True)
def test_a_send_is_over_at_once_when_the_receiver_waits_for_it(held):
    wait_until(lambda: held.history.recorders[0].steps == 1)
    held.resume(1)
    history = held.wait()
    assert history.results[1] in (1, 5_000)


@pytest.mark.parametrize("held", [1_000_000], indirect=True)
def test_a_large_message_moves_only_when_its_receiver_takes_it(held):
    time.sleep(0.3)
    assert held.history.recorders[0].steps == 0
    held.resume(1)
    assert held.wait().results[1] == 1_000_000


def both_ways(node, count):
    """Small messages to and fro, with tags and groups mixed: nothing is taken twice, or by another."""
    pair = node.group([0, 1])
    other = 1 - node.rank
    seen = []
    for step in range(50):
        where, tag = (node, pair)[step % 2], step % 3
        value, got = torch.full((count,), float(step)), torch.zeros(count)
        if node.rank == step % 2:
            where.send(value, other, tag)
            where.recv(got, other, tag)
        else:
            where.recv(got, None if step % 5 == 0 else other, tag)
            where.send(value, other, tag)
        seen.append(got[0].item())
    return seen


@pytest.mark.parametrize("count", [1, 16, 17, 200_000, 400_000])
def test_messages_stay_in_order_whether_they_are_wanted_or_not(count):
    real = lab.run(both_ways, 2, transport="shm", args=(count,), progress=False)
    assert real.results == [list(map(float, range(50)))] * 2
    assert real.messages_sent == [50, 50]


def crossing(node):
    """Receives posted ahead, from one and from any, and messages of one sender to all of them."""
    if node.rank == 0:
        for value in range(1, 5):
            node.send(torch.tensor([float(value)]), 1)
        return None
    first, second = torch.zeros(1), torch.zeros(1)
    ahead = node.irecv(first, None)
    node.recv(second, 0)
    ahead.wait()
    rest = [torch.zeros(1) for _ in range(2)]
    for tensor in rest:
        node.recv(tensor, 0)
    return [first.item(), second.item(), *(tensor.item() for tensor in rest)]


def test_a_receive_posted_earlier_gets_the_earlier_message():
    assert lab.run(crossing, 2, transport="shm", progress=False).results[1] == [1.0, 2.0, 3.0, 4.0]
