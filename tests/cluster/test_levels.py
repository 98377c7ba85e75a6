"""Two levels: which groups have them, what they cost, and the same message by message."""

from dataclasses import replace

import pytest
import torch

from ddl_lab.cluster.collectives import NAMES, Work, even_work, seconds, traffic
from ddl_lab.cluster.levels import TwoLevel
from ddl_lab.cluster.model import Cluster
from ddl_lab.strategies.collectives import two_level_all_reduce
from ddl_lab.virtual.simulation import simulate

# times are exact, as all of them are sums of powers of two
HOSTS = Cluster(
    latency_s=0.5,
    bandwidth_bytes_per_s=8.0,
    host_size=4,
    host_latency_s=0.125,
    host_bandwidth_bytes_per_s=64.0,
    algorithm="two-level",
)
DATA_CENTRE = Cluster(host_size=8, algorithm="two-level")


def hosted(size, **changes):
    return replace(HOSTS, host_size=size, **changes)


def test_a_group_knows_which_of_its_ranks_share_a_host():
    assert HOSTS.hosts(range(8)) == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert HOSTS.hosts((0, 8, 1, 9)) == ((0, 2), (1, 3))  # places in the group, not ranks
    assert HOSTS.hosts(range(0, 16, 2)) == ((0, 1), (2, 3), (4, 5), (6, 7))


@pytest.mark.parametrize(
    "ranks", [range(4), range(0, 16, 4), range(6), (0, 1, 4), (5,), ()], ids=lambda ranks: str(list(ranks))
)
def test_one_host_a_rank_a_host_and_unequal_hosts_have_no_two_levels(ranks):
    assert HOSTS.hosts(ranks) is None
    work = even_work("all_reduce", 16, max(len(ranks), 1), 4)
    assert HOSTS.priced(work, ranks) == replace(HOSTS, algorithm="ring").priced(work, ranks)


def test_without_hosts_there_is_one_level():
    assert Cluster(algorithm="two-level").cost("all_reduce", 800_000, 16).algorithm == "ring"
    assert "two-level" not in Cluster().cost("all_reduce", 800_000, 16).choices


# inside: 10 s and 1 byte/s; between: 1000 s and 0.1 byte/s; 2 hosts of 2, 8 bytes, by hand
BY_HAND = {
    "all_reduce": 2 * (10 + 4) + 2 * (1000 + 20),
    "barrier": 2 * 10 + 2 * 1000,
    "reduce_scatter": 10 + 4 + 1000 + 20,
    "all_gather": 10 + 4 + 1000 + 20,
    "broadcast": 10 + 8 + 1000 + 80,
    "reduce": 10 + 8 + 1000 + 80,
    "gather": 10 + 2 + 1000 + 40,
    "scatter": 10 + 2 + 1000 + 40,
    "all_to_all": 10 + 4 + 1000 + 40,
}


@pytest.mark.parametrize("name", NAMES)
def test_seconds_are_those_computed_by_hand(name):
    links = {"host_latency_s": 10, "host_bandwidth_bytes_per_s": 1, "latency_s": 1000}
    cluster = Cluster(bandwidth_bytes_per_s=0.1, host_size=2, algorithm="two-level", **links)
    for root in range(4 if name in ("broadcast", "reduce", "gather", "scatter") else 1):
        work = Work(name, (0 if name == "barrier" else 2,) * 4, root)
        assert cluster.priced(work, range(4)) == ("two-level", BY_HAND[name])


def test_64_nodes_in_hosts_of_8_are_seven_times_as_fast_as_in_one_flat_ring():
    cost = DATA_CENTRE.cost("all_reduce", 800_000, 64)
    inside, between = 14 * (5e-6 + 1e5 / 1e10), 14 * (50e-6 + 12_500 / 1e9)
    assert cost.seconds == pytest.approx(inside + between)
    assert 7.2 < cost.choices["ring"] / cost.seconds < 7.3
    assert (cost.algorithm, cost.messages) == ("two-level", 28)
    assert cost.bytes == 2 * (7 * 100_000 + 7 * 12_500)
    assert DATA_CENTRE.cost("all_reduce", 100_000_000, 64).seconds < cost.choices["ring"] * 10


def test_auto_takes_two_levels_where_they_are_cheapest():
    auto = replace(DATA_CENTRE, algorithm="auto")
    assert auto.cost("all_reduce", 800_000, 64).algorithm == "two-level"
    assert auto.cost("all_reduce", 4, 64).algorithm == "direct"
    assert auto.cost("all_reduce", 800_000, 8).algorithm != "two-level"


# message by message


def all_reduced(node, size, host_size):
    tensor = torch.arange(size) + float(node.rank)
    two_level_all_reduce(node, tensor, host_size)
    return tensor


@pytest.mark.parametrize(("hosts", "size"), [(1, 4), (2, 2), (2, 4), (3, 2), (4, 4), (3, 5), (5, 1)])
@pytest.mark.parametrize("elements", [60, 61, 3])
def test_the_form_is_what_the_algorithm_takes_and_sends_message_by_message(hosts, size, elements):
    n, cluster = hosts * size, hosted(size)
    history = simulate(all_reduced, n, cluster=cluster, args=(elements, size))
    summed = n * torch.arange(elements) + sum(range(n))
    assert all(torch.equal(tensor, summed) for tensor in history.results)
    work = even_work("all_reduce", elements, n, 4)
    algorithm, form_s = cluster.priced(work, range(n))
    sent = list(zip(history.bytes_sent, history.messages_sent, strict=True))
    assert sent == [traffic(algorithm, work, rank) for rank in range(n)]
    if elements % n == 0:
        assert history.elapsed_s == form_s
    else:  # a rank that is ahead sends into a link on which another's stage is still under way
        assert 0.8 * form_s <= history.elapsed_s <= 1.05 * form_s


def test_64_nodes_take_the_seconds_of_the_form_message_by_message_and_as_a_call():
    def call(node):
        node.all_reduce(torch.ones(200_000))

    form = DATA_CENTRE.cost("all_reduce", 800_000, 64)
    by_hand = simulate(all_reduced, 64, cluster=DATA_CENTRE, args=(200_000, 8))
    called = simulate(call, 64, cluster=DATA_CENTRE)
    assert by_hand.elapsed_s == pytest.approx(form.seconds, rel=1e-9)
    assert called.elapsed_s == pytest.approx(form.seconds, rel=1e-9)
    assert by_hand.bytes_sent == called.bytes_sent and by_hand.messages_sent == called.messages_sent


def test_a_span_of_auto_says_that_two_levels_were_taken():
    def call(node):
        node.all_reduce(torch.ones(200_000))

    labels = simulate(call, 16, cluster=replace(DATA_CENTRE, algorithm="auto")).spans.label
    assert set(labels) == {"sum by two-level"}


def test_members_in_another_order_send_what_their_own_hosts_ask_for():
    ranks = (0, 8, 1, 9, 16, 17)
    algorithm, _ = HOSTS.priced(Work("all_gather", (4, 8, 12, 16, 20, 24)), ranks)
    assert isinstance(algorithm, TwoLevel)
    # host {0, 1} has chunks 4 and 12, {8, 9} 8 and 16, {16, 17} 20 and 24
    told = [traffic(algorithm, Work("all_gather", (4, 8, 12, 16, 20, 24)), place) for place in range(6)]
    first, second = 4 + 8 + 20, 12 + 16 + 24
    assert told[0] == (first - 8 + first, 2 + 1)  # between: all but its neighbour's; inside: all first chunks
    assert told[2] == (second - 16 + second, 2 + 1)


@pytest.mark.parametrize("name", NAMES)
def test_all_that_is_received_was_sent(name):
    """In all, a two-level collective moves what its levels' collectives move."""
    work = even_work(name, 0 if name == "barrier" else 960, 8, 1)
    algorithm, _ = HOSTS.priced(work, range(8))
    sent = [traffic(algorithm, work, rank) for rank in range(8)]
    up = 2 * (3 + 1) * 120 + 480  # inside three chunks up a tree, one over two edges; then half of all
    total = {
        "all_reduce": 2 * (2 * 3 * 960 + 960),
        "reduce_scatter": 2 * 3 * 960 + 960,
        "all_gather": 2 * 3 * 960 + 960,
        "broadcast": 7 * 960,
        "reduce": 7 * 960,
        "gather": up,
        "scatter": up,
        "all_to_all": 8 * (3 * 240 + 480),
        "barrier": 0,
    }[name]
    assert sum(nbytes for nbytes, _ in sent) == total


def test_what_one_level_takes_is_taken_from_the_links_of_its_hosts():
    work = Work("all_reduce", (8, 8))
    assert HOSTS.collective_s(work, (4, 7)) == seconds("ring", work, 0.125, 64.0)
