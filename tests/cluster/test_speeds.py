"""The speeds of a cluster's nodes: the article's geometric ones, and lists of any kind."""

import pytest
import torch

from ddl_lab.cluster.speeds import Geometric, checked_speeds, geometric


def test_a_geometric_cluster_slows_down_by_the_same_factor_from_node_to_node():
    speeds = geometric(0.97)
    assert speeds == Geometric(0.97, 10_000.0)
    assert all(speeds(i + 1) / speeds(i) == pytest.approx(0.97) for i in range(20))
    assert repr(speeds) == "geometric(0.97, first=10000.0)"


def test_lists_are_kept_as_they_are_now():
    listed = torch.tensor([2.0, 1.0])
    kept = checked_speeds(listed)
    listed.zero_()
    assert kept == (2.0, 1.0) and checked_speeds(range(1, 4)) == (1, 2, 3)


def test_a_number_and_a_rule_stay_what_they_are():
    assert checked_speeds(5.0) == 5.0 and checked_speeds(geometric(0.5)) == geometric(0.5)


def test_every_entry_of_a_list_is_checked():
    with pytest.raises(ValueError, match=r"^speeds\[2\]=0: it takes a finite number above 0 samples/s"):
        checked_speeds([1, 2, 0])


def test_a_rule_that_leaves_the_range_of_floats_is_refused():
    geometric(0.5).check_nodes(900)
    with pytest.raises(ValueError, match=r"geometric\(0\.5\) gives rank 4999"):
        geometric(0.5).check_nodes(5000)
