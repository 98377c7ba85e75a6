"""The cost model: what it charges, and what it refuses."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from ddl_lab.cluster import Cluster, geometric
from ddl_lab.collectives import Work, seconds


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


def test_all_work_is_charged_by_its_rate_and_the_slow_factor():
    cluster = Cluster(speeds=10.0, flops_per_s=100.0, slow={1: 2.5})
    units = ("samples", "flops", "seconds")
    assert [cluster.compute_s(0, unit, 50.0) for unit in units] == [5.0, 0.5, 50.0]
    assert [cluster.compute_s(1, unit, 50.0) for unit in units] == [12.5, 1.25, 125.0]


def test_a_message_costs_latency_and_bytes():
    cluster = Cluster(latency_s=0.5, bandwidth_bytes_per_s=8.0)
    assert cluster.message_s(0) == 0.5 and cluster.message_s(16) == 2.5
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
    assert Cluster(latency_s=0).message_s(0) == 0.0


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
        ("algorithm", "quantum", "algorithm='quantum': choose one of ring, direct, tree"),
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
        (Cluster(speeds=[]), 1, "speeds has 0 entries for 1 nodes"),
        (Cluster(slow={4: 2.0}), 4, "slow names rank 4: ranks of 4 nodes are 0 to 3"),
        (Cluster(slow={-1: 2.0}), 4, "slow names rank -1"),
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
