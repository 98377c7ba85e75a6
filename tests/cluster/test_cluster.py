"""The cost model: what it charges, and what it refuses."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from ddl_lab.cluster.collectives import NAMES, Work, seconds
from ddl_lab.cluster.model import Cluster, geometric


def test_geometric_speeds_are_the_articles():
    speeds = geometric(0.5, first=80.0)
    assert [speeds(rank) for rank in range(4)] == [80.0, 40.0, 20.0, 10.0]


@pytest.mark.parametrize(
    "speeds", [[4.0, 2.0], (4, 2), np.array([4.0, 2.0]), torch.tensor([4.0, 2.0]), geometric(0.5, 4)]
)
def test_speeds_may_be_one_a_node(speeds):
    cluster = Cluster(speeds=speeds)
    cluster.check_nodes(2)
    assert [cluster.compute_s(rank, "samples", 8) for rank in (0, 1)] == [2.0, 4.0]


def test_a_tensor_of_no_dimension_is_one_speed_for_all():
    assert Cluster(speeds=torch.tensor(4.0)).speed(7) == 4.0


def test_a_list_of_speeds_that_changes_later_changes_nothing():
    speeds = [4.0, 2.0]
    cluster = Cluster(speeds=speeds)
    speeds[0] = 1.0
    assert cluster.speed(0) == 4.0


def test_factors_by_rank_that_change_later_change_nothing():
    slow, stalls, fails = {0: 2.0}, {0: (1, 0.5)}, {0: 3.0}
    cluster = Cluster(slow=slow, stalls=stalls, fails=fails)
    slow[0], stalls[0], fails[0] = -5.0, (1, -5.0), -5.0
    assert (cluster.slow, cluster.stalls, cluster.fails) == ({0: 2.0}, {0: (1, 0.5)}, {0: 3.0})


def test_all_work_is_charged_by_its_rate_and_the_slow_factor():
    cluster = Cluster(speeds=10.0, flops_per_s=100.0, slow={1: 2.5})
    units = ("samples", "flops", "seconds")
    assert [cluster.compute_s(0, unit, 50.0) for unit in units] == [5.0, 0.5, 50.0]
    assert [cluster.compute_s(1, unit, 50.0) for unit in units] == [12.5, 1.25, 125.0]


def test_latency_and_bandwidth_are_what_messages_and_collectives_are_charged_by():
    cluster = Cluster(latency_s=0.5, bandwidth_bytes_per_s=8.0)
    assert cluster.link(0, 1) == (0.5, 8.0)
    work = Work("all_reduce", (8, 8))
    assert cluster.collective_s(work) == seconds("ring", work, 0.5, 8.0)


def test_the_algorithm_decides_what_a_collective_costs():
    work = Work("broadcast", (8, 8, 8, 8))
    costs = {a: Cluster(algorithm=a).collective_s(work) for a in ("ring", "direct", "tree")}
    assert costs["direct"] < costs["tree"] < costs["ring"]


def test_a_cluster_is_a_value():
    assert Cluster(latency_s=1e-3) == Cluster(latency_s=1e-3) != Cluster()
    with pytest.raises(dataclasses.FrozenInstanceError):
        Cluster().latency_s = 1.0
    with pytest.raises(TypeError):
        Cluster(5.0)  # by name only


def test_a_network_without_latency_is_allowed():
    assert Cluster(latency_s=0).collective_s(Work("broadcast", (0, 0))) == 0.0


NO_NUMBERS = [-1.0, math.nan, math.inf, "1", None, True]


@pytest.mark.parametrize("value", [0, *NO_NUMBERS])
@pytest.mark.parametrize("field", ["speeds", "flops_per_s", "bandwidth_bytes_per_s"])
def test_rates_that_are_not_above_zero_are_refused_with_field_and_value(field, value):
    name = rf"speeds\[0\]={value!r}" if field == "speeds" and value == "1" else f"{field}={value!r}"
    with pytest.raises(ValueError, match=f"^{name}: it takes a finite number above 0"):
        Cluster(**{field: value})


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_a_latency_below_zero_is_refused(value):
    with pytest.raises(ValueError, match=f"^latency_s={value!r}: it takes a finite number 0 or more"):
        Cluster(latency_s=value)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("speeds", [1.0, -2.0], r"speeds\[1\]=-2\.0: .* above 0 samples/s"),
        ("slow", {2: 0.0}, r"slow\[2\]=0\.0: .* above 0 times as long"),
        ("slow", [4.0], r"slow=\[4\.0\]: it takes factors by rank, as in slow=\{3: 4\.0\}"),
        ("slow", {"3": 4.0}, r"slow=\{'3': 4\.0\}: it takes factors by rank"),
        ("latency_s", -1e-6, r"latency_s=-1e-06: it takes a finite number 0 or more seconds"),
        ("host_latency_s", math.nan, r"host_latency_s=nan: .* 0 or more seconds"),
        ("host_bandwidth_bytes_per_s", 0, r"host_bandwidth_bytes_per_s=0: .* above 0 bytes/s"),
        ("host_size", 0, r"host_size=0: it takes a whole number from 1 up, or None for one node a host"),
        ("host_size", 2.0, r"host_size=2\.0: it takes a whole number"),
        ("jitter", "gaussian", "jitter='gaussian': choose one of constant, exponential, lognormal"),
        ("jitter_spread", 0.0, r"jitter_spread=0\.0: .* above 0 times the mean"),
        ("seed", 0.5, r"seed=0\.5: it takes a whole number"),
        ("stalls", {1: 0.5}, r"stalls\[1\]=0\.5: it takes \(every, seconds\), as in \(10, 0\.5\)"),
        ("stalls", {1: (0, 0.5)}, r"stalls\[1\]\[0\]=0: it takes a whole number from 1 up, counting"),
        ("stalls", {1: (3, -1)}, r"stalls\[1\]\[1\]=-1: .* 0 or more seconds"),
        ("stalls", [(3, 1.0)], r"stalls=\[\(3, 1\.0\)\]: it takes \(every, seconds\) by rank"),
        ("fails", {1: -0.5}, r"fails\[1\]=-0\.5: .* 0 or more seconds"),
        ("mtbf_s", 0.0, r"mtbf_s=0\.0: it takes a finite number above 0 seconds, or None for nodes that"),
        ("attempt", -1, r"attempt=-1: it takes a whole number from 0 up"),
        ("fails", {1.0: 0.5}, r"fails=\{1\.0: 0\.5\}: it takes seconds by rank, as in fails=\{1: 0\.5\}"),
        (
            "algorithm",
            "quantum",
            "choose one of ring, direct, doubling, tree, two-level, auto",
        ),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(field, value, told):
    with pytest.raises(ValueError, match=told):
        Cluster(**{field: value})


@pytest.mark.parametrize("alpha", [0, -0.5, math.nan, "0.9"])
def test_a_ratio_of_speeds_must_be_above_zero(alpha):
    with pytest.raises(ValueError, match=f"^alpha={alpha!r}"):
        geometric(alpha)
    with pytest.raises(ValueError, match=r"^first=0: .* samples/s"):
        geometric(0.9, first=0)


@pytest.mark.parametrize(
    ("cluster", "nodes", "told"),
    [
        (Cluster(speeds=[1.0, 2.0]), 3, "speeds has 2 entries for 3 nodes: give one a node"),
        (Cluster(speeds=[]), 1, "speeds has 0 entries for 1 node"),
        (Cluster(slow={4: 2.0}), 4, "slow names rank 4: ranks of 4 nodes are 0 to 3"),
        (Cluster(slow={-1: 2.0}), 4, "slow names rank -1"),
        (Cluster(stalls={4: (1, 1.0)}), 4, "stalls names rank 4: ranks of 4 nodes are 0 to 3"),
        (Cluster(fails={9: 1.0}), 4, "fails names rank 9: ranks of 4 nodes are 0 to 3"),
        (Cluster(speeds=geometric(0.5)), 5000, r"geometric\(0\.5\) gives rank 4999 1e-1501 samples/s"),
        (Cluster(speeds=geometric(2.0)), 5000, "gives rank 4999 1e1509 samples/s: take fewer nodes"),
    ],
)
def test_a_cluster_that_does_not_describe_the_nodes_is_refused(cluster, nodes, told):
    with pytest.raises(ValueError, match=told):
        cluster.check_nodes(nodes)


def test_a_cluster_describes_any_number_of_like_nodes():
    for nodes in (1, 100_000):
        Cluster().check_nodes(nodes)
        Cluster(speeds=geometric(0.9999)).check_nodes(nodes)


# random times, stalls, hosts


def drawn(cluster, rank=0, count=4000):
    return np.array([cluster.span_s(rank, "samples", 50.0, k) for k in range(1, count + 1)])


def test_without_jitter_every_span_takes_the_mean():
    cluster = Cluster(speeds=10.0, slow={1: 2.0})
    assert set(drawn(cluster, 0, 9)) == {5.0} and set(drawn(cluster, 1, 9)) == {10.0}


@pytest.mark.parametrize(
    ("jitter", "spread", "over_mean"), [("exponential", 0.5, 1.0), ("lognormal", 0.3, 0.3)]
)
def test_random_times_have_the_mean_and_the_spread_that_is_told(jitter, spread, over_mean):
    times = drawn(Cluster(speeds=10.0, slow={0: 2.0}, jitter=jitter, jitter_spread=spread), count=20_000)
    assert times.mean() == pytest.approx(10.0, rel=0.03)
    assert times.std() / times.mean() == pytest.approx(over_mean, rel=0.05)


def test_the_mean_stays_what_compute_s_says():
    assert Cluster(speeds=10.0, jitter="exponential").compute_s(0, "samples", 50.0) == 5.0


def test_random_times_depend_on_seed_rank_and_count_only():
    cluster = Cluster(jitter="exponential", seed=3)
    assert (drawn(cluster, 1, 50) == drawn(Cluster(jitter="exponential", seed=3), 1, 50)).all()
    assert not (drawn(cluster, 1, 50) == drawn(cluster, 2, 50)).any()
    assert not (drawn(cluster, 1, 50) == drawn(Cluster(jitter="exponential", seed=4), 1, 50)).any()


def test_a_node_that_stalls_does_so_at_every_kth_span():
    cluster = Cluster(speeds=10.0, stalls={1: (3, 7.0)})
    assert drawn(cluster, 1, 7).tolist() == [5.0, 5.0, 12.0, 5.0, 5.0, 12.0, 5.0]
    assert set(drawn(cluster, 0, 7)) == {5.0}


HOSTS = Cluster(
    latency_s=4.0, bandwidth_bytes_per_s=1.0, host_size=4, host_latency_s=1.0, host_bandwidth_bytes_per_s=8.0
)


def test_ranks_of_one_host_share_its_links():
    assert HOSTS.link(0, 3) == HOSTS.link(7, 4) == (1.0, 8.0)
    assert HOSTS.link(3, 4) == HOSTS.link(0, 8) == (4.0, 1.0)
    assert Cluster().link(0, 0) == Cluster().link(0, 1) == (50e-6, 1e9)


def test_a_collective_within_a_host_has_its_links_and_one_over_hosts_the_links_between():
    work = Work("all_reduce", (8, 8))
    assert HOSTS.collective_s(work, (4, 7)) == seconds("ring", work, 1.0, 8.0)
    assert HOSTS.collective_s(work, (3, 4)) == HOSTS.collective_s(work) == seconds("ring", work, 4.0, 1.0)


# cost


def test_cost_tells_seconds_bytes_and_messages_of_the_algorithm():
    cost = Cluster(latency_s=10.0, bandwidth_bytes_per_s=1.0).cost("all_reduce", 8, 4)
    assert (cost.seconds, cost.algorithm, cost.bytes, cost.messages) == (6 * 10 + 6 * 2, "ring", 12, 6)
    assert cost.choices == {"ring": 72.0, "direct": 34.0, "doubling": 36.0, "tree": 72.0}


def test_cost_names_the_busiest_rank():
    cost = Cluster(algorithm="direct").cost("broadcast", 100, 5)
    assert (cost.bytes, cost.messages) == (400, 4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("nodes", [1, 2, 5, 16])
@pytest.mark.parametrize("nbytes", [4, 4_000_000])
def test_auto_is_the_cheapest_and_says_which(name, nodes, nbytes):
    cost = Cluster(algorithm="auto").cost(name, nbytes, nodes)
    assert cost.seconds == min(cost.choices.values()) == cost.choices[cost.algorithm]


def test_auto_takes_few_messages_for_small_tensors_and_few_bytes_for_large_ones():
    cluster = Cluster(algorithm="auto")
    assert cluster.cost("all_reduce", 4, 16).algorithm == "direct"
    assert cluster.cost("all_reduce", 100_000_000, 16).algorithm == "ring"


def test_cost_refuses_what_is_no_collective():
    with pytest.raises(ValueError, match="name='shuffle': choose one of all_reduce"):
        Cluster().cost("shuffle", 8, 4)
    with pytest.raises(ValueError, match="nodes=0: it takes a whole number from 1 up"):
        Cluster().cost("all_reduce", 8, 0)
    with pytest.raises(ValueError, match="nbytes=-1: it takes a finite number 0 or more bytes"):
        Cluster().cost("all_reduce", -1, 4)


# how it shows itself


def test_a_cluster_is_shown_as_it_is_written_without_the_defaults():
    assert repr(Cluster()) == "Cluster()"
    told = "Cluster(speeds=geometric(0.9, first=5.0), latency_s=0.5, slow={1: 2.0}, algorithm='auto')"
    assert repr(eval(told)) == told


def test_a_cluster_draws_itself_as_a_table_of_what_is_unlike_the_defaults():
    plain = Cluster()._repr_html_()
    assert "10,000 samples/s" in plain and "50 µs + bytes / (1 GB/s)" in plain
    assert "stalls" not in plain and "host" not in plain and "jitter" not in plain
    told = Cluster(
        speeds=geometric(0.97), host_size=8, jitter="lognormal", slow={1: 4.0}, stalls={2: (10, 0.5)},
        fails={3: 0.25}, mtbf_s=400, algorithm="auto",
    )._repr_html_()  # fmt: skip
    for words in (
        "0.97^rank", "within a host of 8", "lognormal, spread 0.5, seed 0", "takes 4 times as long",
        "stalls 500 ms every 10 spans", "fails at 250 ms", "every 400 s in the mean, seed 0", "auto",
    ):  # fmt: skip
        assert words in told


def test_a_table_tells_the_slowest_and_the_fastest_node():
    assert "2 to 400 samples/s" in Cluster(speeds=[400.0, 2.0, 7.0])._repr_html_()


def test_measuring_is_known_once_the_package_is_loaded(monkeypatch):
    monkeypatch.setattr("ddl_lab.cluster.model.CALIBRATIONS", {})
    with pytest.raises(RuntimeError, match="import ddl_lab before"):
        Cluster.measure()
