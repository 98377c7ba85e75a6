"""What collectives cost and send: by hand, by sums, and by the algorithm run message by message."""

from dataclasses import replace

import pytest
import torch

from ddl_lab.cluster.collectives import ALGORITHMS, Work, even_chunks, even_work, rounds, seconds, traffic
from ddl_lab.cluster.model import Cluster
from ddl_lab.strategies import collectives as by_hand
from ddl_lab.virtual.simulation import simulate

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
    ("doubling", "all_reduce"): 2 * 10 + 2 * 8,
    ("doubling", "reduce_scatter"): 2 * 10 + 4 + 2,
    ("doubling", "all_gather"): 2 * 10 + 2 + 4,
    ("doubling", "broadcast"): 2 * 10 + 2 * 8,
    ("doubling", "barrier"): 2 * 10,
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


def ring_reduce_scatter(node, chunks):
    n, rank = node.world_size, node.rank
    box = torch.empty_like(chunks[0])
    for step in range(n - 1):
        sending = node.isend(chunks[(rank - 1 - step) % n], (rank + 1) % n)
        node.recv(box, (rank - 1) % n)
        chunks[(rank - 2 - step) % n] += box
        sending.wait()


def ring_all_gather(node, chunks):
    n, rank = node.world_size, node.rank
    for step in range(n - 1):
        sending = node.isend(chunks[(rank - step) % n], (rank + 1) % n)
        node.recv(chunks[(rank - 1 - step) % n], (rank - 1) % n)
        sending.wait()


def chain_broadcast(node, chunks):
    if node.rank > 0:
        node.recv(chunks, node.rank - 1)
    if node.rank < node.world_size - 1:
        node.send(chunks, node.rank + 1)


def to_each(node, piece_for):
    """Send each its piece, in turn to the next, the one after, …: no two come to one link at once."""
    n, rank = node.world_size, node.rank
    outs = [node.isend(piece_for((rank + k) % n), (rank + k) % n) for k in range(1, n)]
    yield from ((rank - k) % n for k in range(1, n))  # from whom to receive
    for out in outs:
        out.wait()


def direct_all_reduce(node, chunks):
    box, total = torch.empty_like(chunks), chunks.clone()
    for src in to_each(node, lambda dst: chunks):
        node.recv(box, src)
        total += box
    chunks.copy_(total)


def direct_reduce_scatter(node, chunks):
    box = torch.empty_like(chunks[0])
    for src in to_each(node, lambda dst: chunks[dst]):
        node.recv(box, src)
        chunks[node.rank] += box


def direct_all_gather(node, chunks):
    for src in to_each(node, lambda dst: chunks[node.rank]):
        node.recv(chunks[src], src)


def direct_broadcast(node, chunks):
    if node.rank:
        node.recv(chunks, 0)
    else:
        for out in [node.isend(chunks, rank) for rank in range(1, node.world_size)]:
            out.wait()


def block(n, power, start, length):
    """The chunks of places start to start + length, each with that of the surplus rank it stands for."""
    return [c for p in range(start, start + length) for c in (p, p + power) if c < n]


def swap(node, chunks, peer, sent, received, add):
    out, box = node.isend(chunks[sent], peer), torch.empty_like(chunks[received])
    node.recv(box, peer)
    chunks[received] = box + chunks[received] if add else box
    out.wait()


def doubling_all_gather(node, chunks):
    n, rank, power = node.world_size, node.rank, 1 << (node.world_size.bit_length() - 1)
    if rank >= power:
        node.send(chunks[rank], rank - power)
        node.recv(chunks, rank - power)
        return
    if rank + power < n:
        node.recv(chunks[rank + power], rank + power)
    for k in range(power.bit_length() - 1):
        mine, peer = block(n, power, rank >> k << k, 1 << k), rank ^ (1 << k)
        swap(node, chunks, peer, mine, block(n, power, peer >> k << k, 1 << k), add=False)
    if rank + power < n:
        node.send(chunks, rank + power)


def doubling_reduce_scatter(node, chunks):
    n, rank, power = node.world_size, node.rank, 1 << (node.world_size.bit_length() - 1)
    if rank >= power:
        node.send(chunks, rank - power)
        node.recv(chunks[rank], rank - power)
        return
    if rank + power < n:
        node.recv(box := torch.empty_like(chunks), rank + power)
        chunks += box
    for k in reversed(range(power.bit_length() - 1)):
        mine, peer = block(n, power, rank >> k << k, 1 << k), rank ^ (1 << k)
        swap(node, chunks, peer, block(n, power, peer >> k << k, 1 << k), mine, add=True)
    if rank + power < n:
        node.send(chunks[rank + power], rank + power)


def up(node, chunks, whole):
    """To rank 0 along a binomial tree: sums of the whole tensor, or the chunks of all below."""
    n, rank, step = node.world_size, node.rank, 1
    while step < n:
        if rank & step:
            node.send(chunks if whole else chunks[rank : rank + step], rank - step)
            return
        if rank + step < n:
            box = torch.empty_like(chunks if whole else chunks[rank + step : rank + 2 * step])
            node.recv(box, rank + step)
            if whole:
                chunks += box
            else:
                chunks[rank + step : rank + 2 * step] = box
        step *= 2


def down(node, chunks, whole):
    """From rank 0 along the same tree: the whole tensor, or to each the chunks of all below."""
    step = 1 << rounds(node.world_size)
    if node.rank:
        step = node.rank & -node.rank
        node.recv(chunks if whole else chunks[node.rank : node.rank + step], node.rank - step)
    while step > 1:
        step //= 2
        child = node.rank + step
        if child < node.world_size:
            node.send(chunks if whole else chunks[child : child + step], child)


def tree(up_whole, down_whole):
    def algorithm(node, chunks):
        if up_whole is not None:
            up(node, chunks, up_whole)
        down(node, chunks, down_whole)

    return algorithm


def flat(strategy):
    """A strategy of the package; its barrier is one of an empty tensor."""
    return lambda node, chunks: strategy(node, chunks.view(-1))


PLAYED = {
    ("ring", "all_reduce"): flat(by_hand.ring_all_reduce),
    ("ring", "barrier"): flat(by_hand.ring_all_reduce),
    ("ring", "reduce_scatter"): ring_reduce_scatter,
    ("ring", "all_gather"): ring_all_gather,
    ("ring", "broadcast"): chain_broadcast,
    ("direct", "all_reduce"): direct_all_reduce,
    ("direct", "barrier"): direct_all_reduce,
    ("direct", "reduce_scatter"): direct_reduce_scatter,
    ("direct", "all_gather"): direct_all_gather,
    ("direct", "broadcast"): direct_broadcast,
    ("doubling", "all_reduce"): flat(by_hand.recursive_doubling_all_reduce),
    ("doubling", "barrier"): flat(by_hand.recursive_doubling_all_reduce),
    ("doubling", "reduce_scatter"): doubling_reduce_scatter,
    ("doubling", "all_gather"): doubling_all_gather,
    ("doubling", "broadcast"): tree(None, True),
    ("tree", "all_reduce"): tree(True, True),
    ("tree", "barrier"): tree(True, True),
    ("tree", "reduce_scatter"): tree(True, False),
    ("tree", "all_gather"): tree(False, True),
    ("tree", "broadcast"): tree(None, True),
}
# Everywhere else the form is an upper bound unless n is a power of two: `collectives.py` says so.
EXACT_FOR_ALL = {
    *(key for key in PLAYED if key[0] in ("ring", "direct") or key[1] == "broadcast"),
    ("doubling", "all_reduce"),
    ("doubling", "barrier"),
}


def playing(node, play, each):
    chunks = torch.full((node.world_size, each), float(node.rank))
    play(node, chunks)
    return chunks


def played(algorithm, name, n, each, cluster=EXACT):
    return simulate(playing, n, cluster=cluster, args=(PLAYED[algorithm, name], each * (name != "barrier")))


def assert_right(name, n, results):
    """All ranks hold what the collective gives them."""
    for rank, chunks in enumerate(results):
        if name == "all_reduce":
            assert (chunks == sum(range(n))).all()
        elif name == "reduce_scatter":
            assert (chunks[rank] == sum(range(n))).all()
        elif name == "all_gather":
            assert (chunks == torch.arange(n)[:, None]).all()
        elif name == "broadcast":
            assert (chunks == 0).all()


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize(("algorithm", "name"), PLAYED)
def test_each_form_is_what_its_algorithm_takes_and_sends_message_by_message(algorithm, name, n):
    for each in (1, 3, 64):
        history = played(algorithm, name, n, each)
        assert_right(name, n, history.results)
        told = work(name, n, 4 * each * n)
        sent = list(zip(history.bytes_sent, history.messages_sent, strict=True))
        assert sent == [traffic(algorithm, told, rank) for rank in range(n)]
        form_s = seconds(algorithm, told, EXACT.latency_s, EXACT.bandwidth_bytes_per_s)
        if (algorithm, name) in EXACT_FOR_ALL or n & (n - 1) == 0:
            assert history.elapsed_s == form_s
        else:
            assert 0.5 * form_s <= history.elapsed_s <= form_s


@pytest.mark.parametrize("n", COUNTS)
def test_the_courses_tree_takes_the_time_and_the_traffic_of_the_form_in_all(n):
    """It sends nearest first, this one's farthest first: the same tree, its inner nodes renumbered."""

    def worker(node):
        by_hand.tree_broadcast(node, torch.zeros(6))

    history, told = simulate(worker, n, cluster=EXACT), work("broadcast", n, 24)
    assert history.elapsed_s == seconds("tree", told, EXACT.latency_s, EXACT.bandwidth_bytes_per_s)
    assert (sum(history.bytes_sent), sum(history.messages_sent)) == totals("tree", told)


@pytest.mark.parametrize("n", COUNTS)
def test_unequal_chunks_take_a_ring_no_longer_than_its_form(n):
    def worker(node):
        by_hand.ring_all_reduce(node, torch.zeros(5 * n + 2))

    form_s = seconds("ring", even_work("all_reduce", 5 * n + 2, n, 4), 0.5, 8.0)
    assert 0.9 * form_s <= simulate(worker, n, cluster=EXACT).elapsed_s <= form_s


# hosts: a fast link inside, a slow one between

HOSTS = Cluster(
    latency_s=0.5,
    bandwidth_bytes_per_s=8.0,
    host_size=4,
    host_latency_s=0.125,
    host_bandwidth_bytes_per_s=64.0,
)


def on_hosts(algorithm, name, n):
    form_s = replace(HOSTS, algorithm=algorithm).collective_s(work(name, n, 12 * n), range(n))
    return played(algorithm, name, n, 3, HOSTS).elapsed_s, form_s


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("algorithm", ["ring", "direct"])
def test_on_one_host_forms_are_exact_with_its_links(algorithm, n):
    took_s, form_s = on_hosts(algorithm, "all_reduce", n)
    assert took_s == form_s


@pytest.mark.parametrize("n", [5, 8, 12, 16])
@pytest.mark.parametrize("name", ["all_reduce", "reduce_scatter", "all_gather"])
def test_over_hosts_a_ring_takes_what_its_slowest_link_takes(name, n):
    took_s, form_s = on_hosts("ring", name, n)
    assert took_s == form_s


@pytest.mark.parametrize("n", [8, 16])
@pytest.mark.parametrize(("algorithm", "name"), PLAYED)
def test_over_hosts_no_form_is_below_what_its_algorithm_takes(algorithm, name, n):
    took_s, form_s = on_hosts(algorithm, name, n)
    assert took_s <= form_s
