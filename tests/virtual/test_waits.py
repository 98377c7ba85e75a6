"""Deadlocks of a simulation: found at once, and each node's wait is named."""

import pytest
import torch

from ddl_lab.cluster.model import Cluster
from ddl_lab.errors import CollectiveMismatch, DeadlockError
from ddl_lab.virtual.simulation import simulate

SLOW = Cluster(latency_s=10.0, bandwidth_bytes_per_s=4.0)


def deadlock(worker, nodes):
    with pytest.raises(DeadlockError) as caught:
        simulate(worker, nodes, cluster=SLOW)
    return caught.value


def work(node, seconds):
    with node.compute(seconds=seconds):
        pass


def be_busy(node):
    """Until long after; a row of metrics each second."""
    for _ in range(300):
        work(node, 1)
        node.group([node.rank]).barrier()
        node.record(busy=1.0)


def test_nodes_that_disagree_on_a_collective_are_told_so_though_another_has_returned():
    def worker(node):
        if node.rank == 1:
            node.barrier()
        elif node.rank == 2:
            node.all_reduce(torch.zeros(3))

    with pytest.raises(CollectiveMismatch, match=r"rank 1: barrier\(\)\n(.*\n)+  rank 0: not there yet\n"):
        simulate(worker, 3)


def test_two_nodes_that_both_send_first():
    def worker(node):
        node.send(torch.zeros(1), 1 - node.rank)
        node.recv(torch.zeros(1), 1 - node.rank)

    told = str(deadlock(worker, 2))
    assert "rank 0 waits in send(dst=1, tag=0)" in told
    assert "rank 1 waits in send(dst=0, tag=0)" in told
    assert "Every one of them sends first" in told


def test_a_receive_of_another_tag():
    def worker(node):
        if node.rank == 0:
            node.send(torch.zeros(1), 1, tag=1)
        else:
            node.recv(torch.zeros(1), 0, tag=2)

    told = str(deadlock(worker, 2))
    assert "rank 0 waits in send(dst=1, tag=1)" in told
    assert "rank 1 waits in recv(src=0, tag=2)" in told


def test_a_collective_that_one_rank_does_not_enter():
    def worker(node):
        if node.rank == 1:
            node.recv(torch.zeros(1))
        else:
            node.all_reduce(torch.zeros(3))

    told = str(deadlock(worker, 3))
    assert "rank 0 waits in all_reduce(op=sum) of float32 (3,)" in told
    assert "rank 1 waits in recv(src=any, tag=0)" in told


@pytest.mark.parametrize(
    "call",
    [
        lambda node: node.recv(torch.zeros(1), 0),
        lambda node: node.send(torch.zeros(1), 0),
        lambda node: node.isend(torch.zeros(1), 0).wait(),
        lambda node: node.irecv(torch.zeros(1), 0).wait(),
        lambda node: node.barrier(),
        lambda node: node.group([1, 0]).barrier(),
    ],
)
@pytest.mark.parametrize("calls_at", [0, 7, "7, after rank 0 returned in this process too"])
def test_a_wait_for_a_rank_that_has_returned_ends_at_once_though_others_go_on(call, calls_at):
    def worker(node):
        if node.rank == 0:
            work(node, 5)
        elif node.rank == 1:
            if calls_at == 7:
                work(node, 7)  # ahead of rank 0's return
            elif calls_at:
                work(node, 6)
                node.group([1]).barrier()
                work(node, 1)
            call(node)
        else:
            be_busy(node)

    error = deadlock(worker, 3)
    assert "rank 1 waits in " in str(error) and "but rank 0 returned already" in str(error)
    assert "rank 2" not in str(error)
    assert error.history.finished_s == {0: 5.0}
    assert len(error.history.metrics) <= (8 if calls_at else 6)


def test_a_receive_from_anyone_is_vain_only_when_all_others_have_returned():
    def worker(node):
        if node.rank == 0:
            for _ in range(3):
                node.recv(torch.zeros(1))
            return
        work(node, node.rank)
        node.send(torch.zeros(1), 0)

    error = deadlock(worker, 3)
    assert "rank 0 waits in recv(src=any, tag=0), but ranks 1 and 2 returned already" in str(error)


def test_a_message_on_its_way_is_received_after_its_sender_has_returned():
    def worker(node):
        if node.rank == 0:
            handle = node.isend(torch.ones(3), 1)
            node.group([0]).barrier()
            while not handle.done():  # the receive is posted at 1, taken at 13
                work(node, 1)
            return None
        work(node, 1)
        box = torch.zeros(3)
        node.recv(box, 0)
        node.recv(box, 2)
        return box.sum().item()

    def sender(node):
        if node.rank == 2:
            handle = node.isend(torch.ones(3), 1)
            handle._written = True  # as if the engine did not wait for it: it returns at 0
            return None
        return worker(node)

    assert simulate(sender, 3, cluster=SLOW).results[1] == 3.0


def test_a_message_that_does_not_match_leaves_the_wait_vain():
    def worker(node):
        if node.rank == 0:
            node.isend(torch.ones(3), 1, tag=4)._written = True
        elif node.rank == 1:
            node.recv(torch.zeros(3), 0)
        else:
            be_busy(node)

    error = deadlock(worker, 3)
    assert "rank 1 waits in recv(src=0, tag=0), but rank 0 returned already" in str(error)
    assert len(error.history.metrics) <= 14, "told when the message is in, at 13"


def test_a_node_that_goes_on_is_not_taken_for_one_that_waits_in_vain():
    """Rank 0 returns at 5 while rank 1, ahead at 20, waits for a message that is still on its way."""

    def worker(node):
        box = torch.zeros(1)
        if node.rank == 0:
            for tag in (1, 0):
                node.isend(box + tag, 1, tag=tag)._written = True
            work(node, 5)
            return None
        first = node.irecv(box, 0, tag=0)
        work(node, 20)
        first.wait()
        work(node, 9)
        node.recv(box, 0, tag=1)  # long in
        return box.item(), node.now()

    assert simulate(worker, 2, cluster=SLOW).results[1] == (1.0, 29.0)


def test_a_receive_that_its_node_left_behind_takes_nothing():
    def worker(node):
        box = torch.zeros(1)
        if node.rank == 0:
            node.irecv(box, 1)
        else:
            out = node.isend(box, 0)
            work(node, 100)
            node.group([1]).barrier()
            assert not out.done()
            out.wait()

    assert "rank 1 waits in isend(dst=0, tag=0), but rank 0 returned" in str(deadlock(worker, 2))


def test_a_group_whose_member_has_returned_is_named_while_others_meet():
    def worker(node):
        if node.rank == 0:
            return
        if node.rank in (1, 2):
            node.group([1, 2]).barrier()
            node.group([0, 1, 2]).barrier()
        else:
            work(node, 1000)

    told = str(deadlock(worker, 4))
    assert "of ranks 0, 1, 2 (its 1st collective), but rank 0 returned" in told and "rank 3" not in told


def test_a_thousand_nodes_at_a_barrier_that_one_misses_are_told_quickly():
    def worker(node):
        if node.rank:
            node.barrier()

    told = str(deadlock(worker, 1000))
    assert "returned: rank 0" in told
