"""Deadlocks of a simulation: found at once, and each node's wait is named."""

import pytest
import torch

from ddl_lab.cluster import Cluster
from ddl_lab.errors import DeadlockError
from ddl_lab.virtual import simulate

SLOW = Cluster(latency_s=10.0, bandwidth_bytes_per_s=4.0)


def deadlock(worker, nodes):
    with pytest.raises(DeadlockError) as caught:
        simulate(worker, nodes, cluster=SLOW)
    return caught.value


def work(node, seconds):
    with node.compute(seconds=seconds):
        pass


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
@pytest.mark.parametrize("late", [0, 7])
def test_a_wait_for_a_rank_that_has_returned_ends_at_once_though_others_go_on(call, late):
    looks = 300

    def worker(node):
        if node.rank == 0:
            work(node, 5)
        elif node.rank == 1:
            work(node, late)
            call(node)
        else:  # is busy until long after
            for _ in range(looks):
                work(node, 1)
                node.group([2]).barrier()
                node.record(busy=1.0)

    error = deadlock(worker, 3)
    assert "rank 1 waits in " in str(error) and "but rank 0 returned already" in str(error)
    assert "rank 2" not in str(error)
    assert max(error.history.finished_s.values()) == 5.0
    assert len(error.history.metrics) <= max(5, late) + 1


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
        else:
            node.recv(torch.zeros(3), 0)

    error = deadlock(worker, 2)
    assert "rank 1 waits in recv(src=0, tag=0), but rank 0 returned already" in str(error)


def test_a_receive_that_its_node_left_behind_takes_nothing():
    def worker(node):
        if node.rank == 0:
            node.irecv(torch.zeros(1), 1)
        else:
            work(node, 100)
            node.send(torch.zeros(1), 0)

    assert "rank 1 waits in send(dst=0, tag=0), but rank 0 returned" in str(deadlock(worker, 2))


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
    assert "rank 1 waits in barrier(), but rank 0 returned" in told and "rank 3" not in told


def test_a_thousand_nodes_at_a_barrier_that_one_misses_are_told_quickly():
    def worker(node):
        if node.rank:
            node.barrier()

    told = str(deadlock(worker, 1000))
    assert "returned: rank 0" in told
