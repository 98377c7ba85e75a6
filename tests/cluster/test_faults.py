"""When nodes fail: drawn from (seed, attempt, rank), and for the first attempt as it is written."""

import math

import numpy as np
import pytest

from ddl_lab.cluster.model import Cluster, geometric

NODES = range(4000)


def failures(**fields):
    return np.array([Cluster(**fields).fails_s(rank) for rank in NODES])


def test_a_cluster_without_failures_has_none():
    assert Cluster().fails_s(0) == math.inf


def test_times_to_failure_are_exponential_with_the_mean_that_is_told():
    drawn = failures(mtbf_s=50.0)
    assert drawn.mean() == pytest.approx(50.0, rel=0.05) and drawn.std() == pytest.approx(50.0, rel=0.06)


def test_the_first_of_several_nodes_fails_as_much_sooner():
    assert failures(mtbf_s=50.0).reshape(-1, 10).min(axis=1).mean() == pytest.approx(5.0, rel=0.1)


def test_failures_are_drawn_from_seed_attempt_and_rank_and_scale_with_the_mean():
    drawn = failures(mtbf_s=50.0)
    assert (drawn == failures(mtbf_s=50.0, jitter="exponential", slow={1: 2.0})).all()
    assert failures(mtbf_s=100.0) == pytest.approx(2 * drawn)
    for other in ({"seed": 1}, {"attempt": 1}):
        assert not (drawn == failures(mtbf_s=50.0, **other)).any()
        assert abs(np.corrcoef(drawn, failures(mtbf_s=50.0, **other))[0, 1]) < 0.06


def test_failures_have_nothing_to_do_with_compute_times():
    cluster = Cluster(mtbf_s=1.0, jitter="exponential", speeds=1.0)
    spans = np.array([cluster.span_s(rank, "samples", 1.0, 1) for rank in NODES])
    assert abs(np.corrcoef(failures(mtbf_s=1.0, attempt=1), spans)[0, 1]) < 0.06


def test_what_is_written_holds_for_the_first_attempt_alone():
    assert Cluster(fails={1: 3.0}).fails_s(1) == 3.0
    assert Cluster(fails={1: 3.0}, attempt=1).fails_s(1) == math.inf
    both = Cluster(fails={1: 1e-9}, mtbf_s=50.0)
    assert both.fails_s(1) == 1e-9 and both.fails_s(2) == Cluster(mtbf_s=50.0).fails_s(2)
    assert "fails={1: 1e-09}" in both.failing(1) and "mtbf_s=50 with seed=0 lets" in both.failing(2)


def test_a_cluster_of_some_of_its_ranks_keeps_what_is_theirs():
    cluster = Cluster(speeds=[1.0, 2.0, 3.0], slow={0: 4.0, 2: 5.0}, stalls={1: (2, 0.5)}, fails={2: 9.0})
    left = cluster.of_ranks([1, 2])
    assert left == Cluster(speeds=[2.0, 3.0], slow={1: 5.0}, stalls={0: (2, 0.5)}, fails={1: 9.0})
    left.check_nodes(2)
    assert Cluster(speeds=geometric(0.5, 8.0)).of_ranks([0, 2]).speeds == (8.0, 2.0)
    assert Cluster(speeds=7.0).of_ranks([0, 2]).speeds == 7.0
