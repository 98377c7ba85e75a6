"""Deadlocks are found where there are some, and only there: also while a leader is between two words."""

import time
from types import SimpleNamespace

import pytest
import torch

import ddl_lab as lab
from ddl_lab.errors import Wait
from ddl_lab.processes.transports.board import BLOCKED, RETURNED, RUNNING, Status
from ddl_lab.processes.transports.wire import RELEASE
from ddl_lab.processes.watch.diagnosis import deadlock
from ddl_lab.processes.watch.supervisor import Supervisor

WORLD, PAIR = 1, 2  # two groups' keys


def computes(rank, entered=(WORLD, 5)):
    return Status(rank, 1, RUNNING, 0.0, Wait(rank, "", ()), entered=entered)


def returned(rank, entered=(WORLD, 5)):
    return Status(rank, 1, RETURNED, 0.0, Wait(rank, "", ()), entered=entered)


def led(rank, nth=5, nodes=4, leader=0):
    """One who waits in the group's ``nth`` collective for the leader's word."""
    others = tuple(r for r in range(nodes) if r != rank)
    wait = Wait(rank, "all_reduce(op=mean) of float32 (9,)", others, nth=nth)
    return Status(rank, 1, BLOCKED, 0.0, wait, (WORLD, nth), leader, (WORLD, nth))


def leads(*needs, nth=5):
    wait = Wait(0, "all_reduce(op=mean) of float32 (9,)", needs, nth=nth)
    return Status(0, 1, BLOCKED, 0.0, wait, (WORLD, nth), None, (WORLD, nth))


def receives(rank, src, entered=(WORLD, 5)):
    return Status(rank, 1, BLOCKED, 0.0, Wait(rank, f"recv(src={src}, tag=0)", (src,)), entered=entered)


def found(*seen):
    error = deadlock(seen, seen, [True] * len(seen))
    return error and str(error).splitlines()[0]


@pytest.mark.parametrize(
    "seen",
    [
        (computes(0), led(1, 6), led(2), led(3)),  # rank 1 had the word, and is in the next one
        (computes(0), returned(1), led(2), led(3)),  # or has returned
        (computes(0), receives(1, 2), led(2), led(3)),  # or waits for one who has yet to hear it
        (computes(0), receives(1, 2, (PAIR, 1)), led(2), led(3)),  # after a collective of another group
        (computes(0), led(1), led(2), led(3)),
        (computes(0, (WORLD, 4)), led(1), led(2), led(3)),
    ],
)
def test_a_leader_on_its_way_lets_nobody_wait_in_vain(seen):
    assert found(*seen) is None


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            (computes(0, (WORLD, 4)), returned(1, (WORLD, 4)), led(2), led(3)),
            "ranks 2 and 3 can never go on:",
        ),
        ((computes(0, (WORLD, 4)), returned(1, (0, 0)), led(2), led(3)), "ranks 2 and 3 can never go on:"),
        ((leads(3), led(1), led(2), computes(3, (WORLD, 4))), None),
        ((leads(3), led(1), led(2), receives(3, 1, (WORLD, 4))), "no node can go on:"),
        ((leads(3), led(1), led(2), returned(3, (WORLD, 4))), "no node can go on:"),
        (
            (
                leads(3, 4),
                led(1, nodes=5),
                led(2, nodes=5),
                receives(3, 1, (WORLD, 4)),
                computes(4, (WORLD, 4)),
            ),
            "ranks 0, 1, 2 and 3 can never go on:",
        ),
        (
            (receives(0, 1, (WORLD, 4)), led(1), computes(2, (WORLD, 4)), led(3)),
            "ranks 0, 1 and 3 can never go on:",
        ),
    ],
)
def test_who_waits_for_one_who_never_comes_is_named_though_others_compute(seen, words):
    assert found(*seen) == words


def trains(node):
    """The leader loses its core after each word: the first who heard it are far ahead meanwhile."""
    if node.rank == 0:
        inbox = node._port._inbox
        post = inbox.post

        def slowly(rank, record):
            post(rank, record)
            if record.kind == RELEASE:
                time.sleep(0.35)  # longer than it takes the supervisor to look twice

        inbox.post = slowly
    value = torch.ones(1)
    for _ in range(2):
        node.all_reduce(value, op="sum")
    return value.item()


@pytest.mark.parametrize("transport", ["shm", "gloo"])
def test_a_run_goes_on_whose_leader_lost_its_core_between_two_words(transport):
    assert lab.run(trains, 4, transport=transport, progress=False).results == [16.0] * 4


def test_the_board_is_read_after_the_inboxes():
    """Who wakes between the two looks, reads its inbox and goes on is not taken for one who sleeps."""
    version = [1]

    def look():
        wait = [Wait(rank, "barrier()", (1 - rank,), nth=1) for rank in range(2)]
        return [Status(rank, version[0], BLOCKED, 0.0, wait[rank], (WORLD, 1)) for rank in range(2)]

    def quiet():
        version[0] += 1  # both have been called, and what called them is read
        return [True, True]

    watcher = SimpleNamespace(_seen=look(), _look=look, _quiet=quiet, origin=0.0, error=None)
    Supervisor._look_for_deadlock(watcher)
    assert watcher.error is None
    watcher._quiet = lambda: [True, True]
    Supervisor._look_for_deadlock(watcher)
    assert "no node can go on" in str(watcher.error)
