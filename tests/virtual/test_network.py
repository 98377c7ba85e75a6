"""Messages on virtual time, against times computed by hand.

The cluster of these tests: latency 10 s, 1 s for each float32, and seconds of work are seconds.
"""

import pytest
import torch

from ddl_lab.cluster.model import Cluster
from ddl_lab.errors import LabError, WorkerError
from ddl_lab.virtual.simulation import simulate

SLOW = Cluster(latency_s=10.0, bandwidth_bytes_per_s=4.0)


def work(node, seconds):
    with node.compute(seconds=seconds):
        pass


def play(worker, nodes, cluster=SLOW):
    return simulate(worker, nodes, cluster=cluster)


def spans(history, rank):
    """(kind, start, end, peer, label) of a rank's spans."""
    rows = history.spans[history.spans["rank"] == rank]
    names = ["kind", "start_s", "end_s", "peer", "label"]
    return [tuple(row) for row in rows[names].itertuples(index=False)]


def test_a_message_takes_latency_and_its_bytes_over_the_bandwidth():
    def worker(node):
        if node.rank == 0:
            work(node, 2)
            node.send(torch.zeros(3), 1)
        else:
            work(node, 1)
            node.recv(torch.zeros(3), 0)
        return node.now()

    history = play(worker, 2)
    assert history.results == [15.0, 15.0]  # 2 + 10 + 3
    assert spans(history, 0) == [("compute", 0, 2, -1, ""), ("send", 2, 15, 1, "")]
    assert spans(history, 1) == [
        ("compute", 0, 1, -1, ""),
        ("wait", 1, 12, 0, "recv"),  # the head comes at 12
        ("recv", 12, 15, 0, ""),
    ]
    assert history.bytes_sent == [12, 0] and history.messages_sent == [1, 0]


def test_a_message_travels_before_it_is_received_and_the_sender_waits_until_it_is_taken():
    def worker(node):
        if node.rank == 0:
            node.send(torch.zeros(3), 1)
        else:
            work(node, 40)
            node.recv(torch.zeros(3), 0)
        return node.now()

    history = play(worker, 2)
    assert history.results == [40.0, 40.0]
    assert spans(history, 0) == [("send", 0, 13, 1, ""), ("wait", 13, 40, 1, "send")]
    assert spans(history, 1)[1:] == [("recv", 40, 40, 0, "")]


def test_the_outgoing_link_carries_one_message_at_a_time():
    def worker(node):
        if node.rank == 0:
            handles = [node.isend(torch.zeros(5), 1), node.isend(torch.zeros(2), 2)]
            return [(handle.wait(), node.now()) for handle in handles]
        node.recv(torch.zeros(5 if node.rank == 1 else 2), 0)
        return node.now()

    # the second leaves when the first has left: 5 + 10 + 2
    assert play(worker, 3).results == [[(1, 15.0), (2, 17.0)], 15.0, 17.0]


def test_the_incoming_link_carries_one_message_at_a_time():
    def worker(node):
        if node.rank == 0:
            box, times = torch.zeros(5), []
            for _ in range(2):
                times.append((node.recv(box), node.now()))
            return times
        work(node, node.rank)
        node.send(torch.zeros(5), 0)
        return node.now()

    # heads come at 11 and 12; the link is taken 11 to 16, then 16 to 21
    assert play(worker, 3).results == [[(1, 16.0), (2, 21.0)], 16.0, 21.0]


def test_both_directions_of_a_link_are_used_at_once():
    def worker(node):
        out = node.isend(torch.zeros(5), 1 - node.rank)
        node.recv(torch.zeros(5), 1 - node.rank)
        out.wait()
        return node.now()

    assert play(worker, 2).results == [15.0, 15.0]


def test_the_incoming_link_goes_to_the_head_that_comes_first_not_to_the_call_that_was_made_first():
    def worker(node):
        if node.rank == 0:
            box, order = torch.zeros(4), []
            for _ in range(3):
                order.append((node.recv(box), node.now()))
            return order
        if node.rank == 1:  # its outgoing link is busy until 4, so its second head comes at 14
            node.isend(torch.zeros(4), 0)
            node.isend(torch.zeros(4), 0)
        else:
            work(node, 3)  # this head comes at 13
            node.send(torch.zeros(4), 0)
        return None

    assert play(worker, 3).results[0] == [(1, 14.0), (2, 18.0), (1, 22.0)]


def test_a_node_that_is_ahead_does_not_take_a_link_before_its_time():
    """Rank 2's worker runs first to its send at 5; rank 1 wakes later and sends at 1."""

    def worker(node):
        if node.rank == 0:
            box = torch.zeros(2)
            return [(node.recv(box), node.now()) for _ in range(2)]
        work(node, {1: 1, 2: 5}[node.rank])
        node.send(torch.zeros(2), 0)
        return None

    assert play(worker, 3).results[0] == [(1, 13.0), (2, 17.0)]


def test_any_source_takes_the_earliest_arrival():
    def worker(node):
        if node.rank == 0:
            work(node, 100)  # all are in
            box = torch.zeros(1)
            return [node.recv(box) for _ in range(3)]
        work(node, 10 - node.rank)
        node.send(torch.zeros(1), 0)
        return None

    assert play(worker, 4).results[0] == [3, 2, 1]


@pytest.mark.parametrize("posted_first", [True, False])
def test_arrivals_at_one_instant_go_to_the_lowest_rank_first(posted_first):
    instant = Cluster(latency_s=0.0)

    def worker(node):
        if node.rank == 2:
            work(node, 1 if posted_first else 6)
            box = torch.zeros(0)  # no bytes: all arrive at 5 exactly
            return [(node.recv(box), node.now()) for _ in range(4)]
        work(node, 5)
        node.send(torch.zeros(0), 2)
        return None

    at = 5.0 if posted_first else 6.0
    assert play(worker, 5, instant).results[2] == [(r, at) for r in (0, 1, 3, 4)]


def test_a_message_sent_at_the_instant_at_which_others_arrive_takes_part():
    """Rank 3's is in at 5 when ranks 0 and 1 wake and send, on a network without latency."""

    def worker(node):
        if node.rank == 2:
            box = torch.zeros(0)
            return [(node.recv(box), node.now()) for _ in range(3)]
        work(node, 5)
        if node.rank < 2:
            node.group([0, 1]).barrier()
        node.send(torch.zeros(0), 2)
        return None

    assert play(worker, 4, Cluster(latency_s=0.0)).results[2] == [(0, 5.0), (1, 5.0), (3, 5.0)]


def test_a_small_message_does_not_overtake_a_large_one():
    def worker(node):
        if node.rank == 0:
            for size in (50, 1):
                node.isend(torch.full((size,), float(size)), 1)
            return None
        large, small = torch.zeros(50), torch.zeros(1)
        node.recv(large, 0)
        at = node.now()
        node.recv(small, 0)
        return large[0].item(), at, small.item(), node.now()

    assert play(worker, 2).results[1] == (50.0, 60.0, 1.0, 61.0)


def test_receives_posted_ahead_are_served_in_the_order_they_were_posted():
    def worker(node):
        if node.rank == 0:
            for value in range(3):
                node.isend(torch.tensor([float(value)]), 1)
            return None
        boxes = [torch.zeros(1) for _ in range(3)]
        handles = [node.irecv(box, None if k == 1 else 0) for k, box in enumerate(boxes)]
        assert [handle.wait() for handle in reversed(handles)] == [0, 0, 0]
        return [box.item() for box in boxes]

    assert play(worker, 2).results[1] == [0.0, 1.0, 2.0]


def test_tags_and_groups_keep_messages_apart():
    def worker(node):
        pair = node.group([1, 0])
        if node.rank == 0:
            pair.isend(torch.tensor(1.0), 0)
            node.isend(torch.tensor(2.0), 1, tag=7)
            node.isend(torch.tensor(3.0), 1)
            return None
        box, got = torch.zeros(()), []
        for receive in (lambda: node.recv(box, 0), lambda: node.recv(box, tag=7), lambda: pair.recv(box)):
            receive()
            got.append(box.item())
        return got

    assert play(worker, 2).results[1] == [3.0, 2.0, 1.0]


def test_isend_sends_what_the_tensor_held_then():
    def worker(node):
        tensor = torch.ones(2)
        if node.rank == 0:
            handle = node.isend(tensor, 1)
            tensor.fill_(9.0)
            with pytest.raises(LabError, match="written before"):
                handle.wait()
        else:
            node.recv(tensor.zero_(), 0)
        return tensor.tolist()

    assert play(worker, 2).results == [[9.0, 9.0], [1.0, 1.0]]


def test_done_looks_without_blocking_and_a_loop_of_looks_ends_when_the_message_is_in():
    cluster = Cluster(latency_s=1e-3, bandwidth_bytes_per_s=1e9)

    def worker(node):
        if node.rank == 0:
            node.send(torch.ones(1), 1)
            return node.now()
        box, looks = torch.zeros(1), 0
        handle = node.irecv(box, 0)
        assert not handle.done() and node.now() == 1e-6
        while not handle.done():
            looks += 1
        return looks, box.item(), node.now()

    sent, (looks, value, now) = play(worker, 2, cluster).results
    assert 998 <= looks <= 1001 and value == 1.0
    assert sent <= now < sent + 2e-6


def test_done_sees_only_what_has_happened_by_the_time_of_the_node():
    def worker(node):
        if node.rank == 0:
            node.send(torch.zeros(1), 1)
            return None
        box = torch.zeros(1)
        handle, seen = node.irecv(box, 0), []
        for seconds in (5, 5, 2):  # the message is in at 11
            work(node, seconds)
            seen.append(handle.done())
        return seen, node.now()

    assert play(worker, 2).results[1] == ([False, False, True], 12.0 + 2e-6)


def test_done_sees_what_arrives_at_the_instant_of_the_look():
    def worker(node):
        if node.rank == 1:
            node.send(torch.zeros(1), 0)
        elif node.rank == 0:
            handle = node.irecv(torch.zeros(1))  # from anyone
            work(node, 11)
            return handle.done()
        return None

    assert play(worker, 3).results[0] is True


@pytest.mark.parametrize(
    ("sent", "told"),
    [(torch.zeros(4), "float32 with 4 elements"), (torch.zeros(3, dtype=torch.int64), "int64 with 3")],
)
@pytest.mark.parametrize("ahead", [False, True])
def test_a_message_that_does_not_fit_is_refused_in_words(sent, told, ahead):
    def worker(node):
        box = torch.zeros(3)
        if node.rank == 1:
            node.send(sent, 0)
        elif ahead:
            handle = node.irecv(box, 1)
            while not handle.done():
                work(node, 1)
        else:
            node.recv(box, 1, tag=0)

    with pytest.raises(
        WorkerError, match=rf"recv\(src=1, tag=0\) on rank 0 expected float32 with 3.*{told}"
    ) as e:
        play(worker, 2)
    assert e.value.rank == 0 and e.value.cause_type == "ValueError"


def test_one_element_is_named_in_the_singular():
    def worker(node):
        if node.rank:
            node.send(torch.zeros(1), 0)
        else:
            node.recv(torch.zeros(2))

    with pytest.raises(WorkerError, match=r"float32 with 2 elements; rank 1 sent float32 with 1 element\."):
        play(worker, 2)
