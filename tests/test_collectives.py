"""What collectives cost and send: by hand, by sums, and by the algorithm run message by message."""

import pytest
import torch

from ddl_lab.cluster import Cluster
from ddl_lab.collectives import ALGORITHMS, Work, even_chunks, even_work, rounds, seconds, traffic
from ddl_lab.virtual import simulate

NAMES = ("all_reduce", "broadcast", "reduce_scatter", "all_gather", "barrier")
COUNTS = range(1, 18)
SIZE = 720_720  # divided by all numbers to 16
UNEVEN = 1_000_003


def work(name, n, size=SIZE, root=0):
    return Work(name, even_chunks(0 if name == "barrier" else size, n), root)


@pytest.mark.parametrize("n", COUNTS)
def test_even_chunks_are_the_whole_and_differ_by_one_at_most(n):
    for total in (0, 1, n - 1, n, UNEVEN):
        chunks = even_chunks(total, n)
        assert sum(chunks) == total and len(chunks) == n
        assert max(chunks) - min(chunks) <= 1 and list(chunks) == sorted(chunks, reverse=True)


def test_the_work_of_elements_counts_their_bytes():
    assert even_work("all_gather", 10, 4, 8, 2) == Work("all_gather", (24, 24, 16, 16), 2)
    assert even_work("all_gather", 10, 4, 8).total == 80


def test_rounds_is_the_depth_of_a_binomial_tree():
    assert [rounds(n) for n in (1, 2, 3, 4, 5, 8, 9, 16, 17)] == [0, 1, 2, 2, 3, 3, 4, 4, 5]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", NAMES)
def test_one_node_alone_needs_no_time_and_sends_nothing(algorithm, name):
    assert seconds(algorithm, work(name, 1), 1.0, 1.0) == 0.0
    assert traffic(algorithm, work(name, 1), 0) == (0, 0)


# latency 10 s and 1 byte/s, four nodes, 8 bytes: messages and bytes on the longest path, by hand
BY_HAND = {
    ("ring", "all_reduce"): 6 * 10 + 6 * 2,
    ("ring", "reduce_scatter"): 3 * 10 + 3 * 2,
    ("ring", "all_gather"): 3 * 10 + 3 * 2,
    ("ring", "broadcast"): 3 * 10 + 3 * 8,
    ("ring", "barrier"): 6 * 10,
    ("direct", "all_reduce"): 10 + 3 * 8,
    ("direct", "reduce_scatter"): 10 + 3 * 2,
    ("direct", "all_gather"): 10 + 3 * 2,
    ("direct", "broadcast"): 10 + 3 * 8,
    ("direct", "barrier"): 10,
    ("tree", "all_reduce"): 4 * 10 + 4 * 8,
    ("tree", "reduce_scatter"): 4 * 10 + 2 * 8 + 6,
    ("tree", "all_gather"): 4 * 10 + 6 + 2 * 8,
    ("tree", "broadcast"): 2 * 10 + 2 * 8,
    ("tree", "barrier"): 4 * 10,
}


@pytest.mark.parametrize(("algorithm", "name"), BY_HAND)
def test_seconds_are_those_computed_by_hand(algorithm, name):
    assert seconds(algorithm, work(name, 4, 8), 10.0, 1.0) == BY_HAND[algorithm, name]


def test_unequal_chunks_cost_what_the_largest_costs():
    uneven = Work("all_gather", (1, 5, 0))
    assert seconds("ring", uneven, 10.0, 1.0) == 2 * 10 + 2 * 5
    assert seconds("direct", uneven, 10.0, 1.0) == 10 + 2 * 5


# traffic


def totals(algorithm, told):
    n = len(told.chunks)
    sent = [traffic(algorithm, told, rank) for rank in range(n)]
    return sum(s[0] for s in sent), sum(s[1] for s in sent)


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("size", [SIZE, UNEVEN, 3])
def test_each_algorithm_sends_as_much_in_all_as_it_must(n, size):
    ring = {"all_reduce": (2, n), "reduce_scatter": (1, n), "all_gather": (1, n), "broadcast": (1, 1)}
    for name, (laps, senders) in ring.items():
        assert totals("ring", work(name, n, size)) == (laps * (n - 1) * size, laps * senders * (n - 1))
    for name, copies in {"all_reduce": n, "reduce_scatter": 1, "all_gather": 1, "broadcast": 1}.items():
        messages = (n - 1) * (1 if name == "broadcast" else n)
        assert totals("direct", work(name, n, size)) == (copies * (n - 1) * size, messages)
    assert totals("tree", work("broadcast", n, size)) == ((n - 1) * size, n - 1)
    assert totals("tree", work("all_reduce", n, size)) == (2 * (n - 1) * size, 2 * (n - 1))
    # a chunk passes as many edges as its rank's place has set bits
    chunks = even_chunks(size, n)
    passed = sum(place.bit_count() * chunk for place, chunk in enumerate(chunks))
    for name in ("reduce_scatter", "all_gather"):
        assert totals("tree", work(name, n, size)) == ((n - 1) * size + passed, 2 * (n - 1))


@pytest.mark.parametrize("n", [n for n in COUNTS if SIZE % n == 0])
def test_on_a_ring_every_node_sends_the_same_where_the_bytes_divide(n):
    for rank in range(n):
        assert traffic("ring", work("all_reduce", n), rank) == (2 * (n - 1) * SIZE // n, 2 * (n - 1))
        assert traffic("ring", work("all_gather", n), rank) == ((n - 1) * SIZE // n, n - 1)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("n", COUNTS)
def test_a_barrier_sends_the_messages_of_an_all_reduce_and_no_bytes(algorithm, n):
    for rank in range(n):
        messages = traffic(algorithm, work("all_reduce", n), rank)[1]
        assert traffic(algorithm, work("barrier", n), rank) == (0, messages)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("n", COUNTS)
def test_who_is_root_of_a_broadcast_only_renumbers_the_senders(algorithm, n):
    from_0 = [traffic(algorithm, work("broadcast", n), rank) for rank in range(n)]
    for root in (1 % n, n - 1):
        told = [traffic(algorithm, work("broadcast", n, root=root), (rank + root) % n) for rank in range(n)]
        assert told == from_0


# message by message: times are exact, as all of them are sums of halves and eighths

EXACT = Cluster(latency_s=0.5, bandwidth_bytes_per_s=8.0)


def ring_all_reduce(node, tensor):
    """In round k a node sends chunk rank - k to the right and adds (later: keeps) what comes."""
    n, right, left = node.world_size, (node.rank + 1) % node.world_size, (node.rank - 1) % node.world_size
    chunks = tensor.view(n, -1)
    arriving = torch.empty_like(chunks[0])
    for k in range(2 * (n - 1)):
        out = node.isend(chunks[(node.rank - k) % n], right)
        node.recv(arriving, left)
        own = chunks[(node.rank - k - 1) % n]
        own.copy_(arriving + own if k < n - 1 else arriving)
        out.wait()


def direct_all_gather(node, own, gathered):
    """Each to each: in turn to the next, the one after, … so that no two come to one link at once."""
    n = node.world_size
    gathered[node.rank] = own
    outs = [node.isend(own, (node.rank + k) % n) for k in range(1, n)]
    for k in range(1, n):
        node.recv(gathered[(node.rank - k) % n], (node.rank - k) % n)
    for out in outs:
        out.wait()


def chain_broadcast(node, tensor):
    if node.rank > 0:
        node.recv(tensor, node.rank - 1)
    if node.rank < node.world_size - 1:
        node.send(tensor, node.rank + 1)


def tree_broadcast(node, tensor):
    step = 1 << rounds(node.world_size)
    if node.rank:
        step = node.rank & -node.rank
        node.recv(tensor, node.rank - step)
    while step > 1:
        step //= 2
        if node.rank + step < node.world_size:
            node.send(tensor, node.rank + step)


def direct_broadcast(node, tensor):
    if node.rank:
        node.recv(tensor, 0)
        return
    for out in [node.isend(tensor, rank) for rank in range(1, node.world_size)]:
        out.wait()


def played(algorithm, n, size):
    def worker(node):
        tensor = torch.full((size,), float(node.rank))
        if algorithm is direct_all_gather:
            direct_all_gather(node, tensor, gathered := torch.empty(node.world_size, size))
            return gathered
        algorithm(node, tensor)
        return tensor

    return simulate(worker, n, cluster=EXACT)


def assert_as_told(history, algorithm, told):
    n = history.nodes
    assert history.elapsed_s == seconds(algorithm, told, EXACT.latency_s, EXACT.bandwidth_bytes_per_s)
    sent = list(zip(history.bytes_sent, history.messages_sent, strict=True))
    assert sent == [traffic(algorithm, told, rank) for rank in range(n)]


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("each", [1, 2, 64])
def test_a_ring_all_reduce_played_takes_and_sends_what_its_form_says(n, each):
    history = played(ring_all_reduce, n, each * n)
    assert all((result == sum(range(n))).all() for result in history.results)
    assert_as_told(history, "ring", work("all_reduce", n, 4 * each * n))


@pytest.mark.parametrize("n", COUNTS)
def test_a_direct_all_gather_played_takes_and_sends_what_its_form_says(n):
    history = played(direct_all_gather, n, 6)
    assert all(result[:, 0].tolist() == list(range(n)) for result in history.results)
    assert_as_told(history, "direct", work("all_gather", n, 24 * n))


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize(
    ("algorithm", "play"), [("ring", chain_broadcast), ("tree", tree_broadcast), ("direct", direct_broadcast)]
)
def test_a_broadcast_played_takes_and_sends_what_its_form_says(n, algorithm, play):
    history = played(play, n, 6)
    assert all((result == 0).all() for result in history.results)
    assert_as_told(history, algorithm, work("broadcast", n, 24))
