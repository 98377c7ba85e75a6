"""``Cluster.measure``: what it measures, what it tells."""

from statistics import fmean

import pytest

import ddl_lab as lab
from ddl_lab.cluster import jitter
from ddl_lab.forecast import calibration
from ddl_lab.forecast.calibration import MeasuredCluster


@pytest.fixture(scope="module")
def cluster():
    """This machine; how long measuring takes, ``make bench`` says."""
    return lab.Cluster.measure()


def test_it_is_a_cluster_whose_numbers_lie_within_their_spread(cluster):
    assert isinstance(cluster, lab.Cluster) and cluster.transport == "shm" and cluster.cores >= 1
    assert set(cluster.spread) == {"speeds", "flops_per_s", "latency_s", "bandwidth_bytes_per_s"}
    for name, (low, high) in cluster.spread.items():
        assert 0 < low <= getattr(cluster, name) <= high
    # the gradient alone is faster than the step that it is the largest part of
    assert 1 <= cluster.flops_per_s / (4 * 201_217 * cluster.speeds) < 10


def test_numbers_are_of_an_order_that_computers_have(cluster):
    assert 100 < cluster.speeds < 1e7
    assert 1e-7 < cluster.latency_s < 0.1
    assert 1e6 < cluster.bandwidth_bytes_per_s < 1e13


def test_its_table_tells_where_and_how_far_the_numbers_scattered(cluster):
    table = cluster._repr_html_()
    assert "over shm" in table and "latency_s lay in" in table and "samples/s to" in table


def test_a_measured_cluster_simulates_and_keeps_pace_like_any_other(cluster):
    def worker(node):
        with node.compute(seconds=0.01):
            pass
        node.barrier()
        return node.rank

    assert lab.simulate(worker, 3, cluster=cluster).results == [0, 1, 2]
    assert lab.run(worker, 3, cluster=cluster, progress=False).results == [0, 1, 2]


def test_it_measures_the_transport_that_is_asked_for(monkeypatch):
    monkeypatch.setattr(calibration, "REPEATS", 3)
    assert lab.Cluster.measure("gloo", nodes=3).transport == "gloo"


@pytest.mark.parametrize("nodes", [1, 0, 2.5])
def test_one_process_alone_has_nobody_to_send_to(nodes):
    with pytest.raises(ValueError, match=f"^nodes={nodes!r}: "):
        lab.Cluster.measure(nodes=nodes)


def test_it_is_measured_again_while_the_machine_is_busy_and_the_steadiest_counts(monkeypatch):
    scatters = iter([0.5, 0.3, 0.4, 0.1])

    def once(transport, nodes):
        return MeasuredCluster(spread={"speeds": (10_000.0, 10_000.0 * (1 + next(scatters)))})

    monkeypatch.setattr(calibration, "_once", once)
    busy = calibration.measure(tries=3)
    assert busy.scatter == pytest.approx(0.3) and "scattered by 30%" in busy.refusal
    steady = lab.Cluster.measure(tries=3)  # the first try will do
    assert steady.scatter == pytest.approx(0.1) and steady.refusal == "" and next(scatters, None) is None


def test_the_middle_half_of_samples_is_told():
    low, high = calibration._middle_half([1.0, 2.0, 3.0, 4.0, 100.0, 5.0, 0.0])
    assert (low, high) == (1.0, 5.0)


def test_one_core_is_named_in_the_singular():
    assert "on 1 core<" in MeasuredCluster(cores=1)._repr_html_()


@pytest.mark.parametrize("spread", [0.05, 0.3, 1.0])
def test_the_spread_is_that_of_times_whose_larger_of_two_was_measured(spread):
    drawn = [jitter.factor("lognormal", spread, 0, rank, k) for rank in (0, 1) for k in range(20_000)]
    larger = [max(pair) for pair in zip(drawn[:20_000], drawn[20_000:], strict=True)]
    assert calibration.spread_of(fmean(larger) / fmean(drawn)) == pytest.approx(spread, rel=0.05)


def test_equal_times_have_hardly_a_spread_and_no_larger_one_than_the_model_takes():
    assert calibration.spread_of(1.0) == calibration.spread_of(0.9) == 1e-3
    assert calibration.spread_of(2.0) == calibration.spread_of(1.6) < 2


def test_what_is_taken_apart_belongs_together():
    assert calibration._means([1.0, 3.0, 5.0, 7.0], 2) == [2.0, 6.0]
    assert calibration._slower_of_two([1.0] * 40, [3.0] * 40) == [1.5]


def test_a_bandwidth_is_told_even_where_a_busy_machine_made_large_messages_the_faster_ones():
    turns = 2 * calibration._TURNS
    told = {"steps_s": [1e-3] * 40, "gradients_s": [5e-4] * 40}
    first = told | {"small": [0.0] * turns, "large": [0.0] * turns}
    second = told | {"small": [2e-3] * turns, "large": [1e-3] * turns}
    samples = calibration._samples([first, second])
    assert samples["latency_s"] == pytest.approx([2e-3])
    assert samples["bandwidth_bytes_per_s"] == pytest.approx([4 * 201_217 / 1e-4])
    assert samples["speeds"] == pytest.approx([64e3, 64e3])
