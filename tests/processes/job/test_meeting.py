"""A job's processes find those of their own attempt, whatever earlier ones have left in the store."""

import threading

import pytest
import torch.distributed as dist

from ddl_lab.processes.job import meeting
from ddl_lab.processes.job.meeting import name_of_attempt


def names(store, size, ranks):
    """What ``ranks`` of an attempt of ``size`` learn, each in a thread of its own."""
    found = {}

    def learn(rank):
        found[rank] = name_of_attempt(store, rank, size)

    threads = [threading.Thread(target=learn, args=(rank,), daemon=True) for rank in ranks]
    for thread in threads:
        thread.start()
    return found, threads


def ended(threads):
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_attempt_has_a_name_of_its_own_that_all_its_ranks_learn(size):
    store = dist.HashStore()
    learned = []
    for _ in range(4):
        found, threads = names(store, size, range(size))
        ended(threads)
        assert len(found) == size
        learned += {*found.values()}
    assert len(learned) == len(set(learned)) == 4


@pytest.mark.parametrize("late", [0, 1, 2])
def test_a_rank_that_comes_late_is_not_taken_for_one_of_the_attempt_before(late):
    store = dist.HashStore()
    ended(names(store, 3, range(3))[1])
    first, threads = names(store, 3, [rank for rank in range(3) if rank != late])
    more, others = names(store, 3, [late])
    ended(threads + others)
    assert len({*first.values(), *more.values()}) == 1


def test_a_rank_that_dies_before_it_is_answered_is_followed_by_another():
    store = dist.HashStore()
    store.set("ddl_lab-here-1", "of the dead")
    found, threads = names(store, 2, [0, 1])
    ended(threads)
    assert found[0] == found[1] and store.check(["ddl_lab-answer-of the dead"])


def test_a_host_whose_own_name_is_a_loopback_address_is_told_what_to_set(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(meeting.socket, "gethostname", lambda: "mine")
    monkeypatch.setattr(meeting.socket, "gethostbyname", lambda name: "127.0.1.1")
    assert meeting._own_name(2) == "", "all are here"
    told = meeting._own_name(4)
    assert "own name, mine, has 127.0.1.1 here" in told
    assert "--local-addr" in told and "GLOO_SOCKET_IFNAME" in told
    monkeypatch.setattr(meeting.socket, "gethostbyname", lambda name: "10.0.0.7")
    assert meeting._own_name(4) == "", "it can be found by its name"
