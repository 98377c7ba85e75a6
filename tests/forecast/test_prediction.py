"""``predict``, against paced runs, and what it says of its own reach."""

from dataclasses import replace

import pytest
import torch

import ddl_lab as lab
from benchmarks import prediction
from ddl_lab.forecast.calibration import MeasuredCluster
from ddl_lab.forecast.prediction import Comparison

PACE = lab.Cluster(latency_s=2e-3, bandwidth_bytes_per_s=1e8)
GRADIENT = 25_000  # floats: a millisecond on the link


def synchronous(node, steps=3):
    gradient = torch.ones(GRADIENT)
    for _ in range(steps):
        with node.compute(seconds=0.4):
            pass
        node.all_reduce(gradient, op="mean")


def parameter_server(node, rounds=2):
    box = torch.zeros(GRADIENT)
    for _ in range(rounds * (node.world_size - 1) if node.rank == 0 else rounds):
        if node.rank == 0:
            source = node.recv(box)
            with node.compute(seconds=0.1):
                pass
            node.send(box, source)
        else:
            with node.compute(seconds=0.4):
                pass
            node.send(box, 0)
            node.recv(box, 0)


def pipeline(node, microbatches=3):
    box, sending = torch.zeros(GRADIENT), None
    for _ in range(microbatches):
        if node.rank:
            node.recv(box, node.rank - 1)
        with node.compute(seconds=0.3):
            pass
        if sending is not None:
            sending.wait()
        if node.rank < node.world_size - 1:
            sending = node.isend(box, node.rank + 1)


@pytest.mark.parametrize("worker", [synchronous, parameter_server, pipeline])
def test_a_paced_run_takes_what_was_predicted(worker):
    """Within 5 %, in the best of five: a busy machine wakes processes late, so spans are long here."""
    forecast = lab.predict(worker, 3, PACE)
    ratios = []
    for _ in range(5):
        ratios.append(forecast.against(lab.run(worker, 3, cluster=PACE, progress=False)).ratio)
        if ratios[-1] < 1.05:
            break
    assert 0.95 < min(ratios) < 1.05


def test_a_forecast_is_the_simulation_and_passes_arguments_on():
    forecast = lab.predict(synchronous, 4, PACE, args=(2,))
    assert forecast.history.clock == "virtual" and len(forecast.history.spans) == 4 * 2 * 2
    assert (
        forecast.elapsed_s == forecast.history.elapsed_s == lab.predict(synchronous, 4, PACE, (2,)).elapsed_s
    )
    assert "described cluster" in forecast.note and "cluster=cluster" in forecast.note


@pytest.mark.parametrize(
    ("nodes", "told", "shown"),
    [(2, "Measured over shm", " s"), (3, "3 nodes share 2 cores here: it does not", "refused")],
)
def test_with_more_nodes_than_cores_it_says_that_the_model_does_not_hold(nodes, told, shown):
    forecast = lab.predict(synchronous, nodes, MeasuredCluster(cores=2))
    assert told in forecast.note and told in forecast._repr_html_() and shown in forecast._repr_html_()
    assert bool(forecast.refusal) is (shown == "refused")


@pytest.mark.parametrize(("high", "busy"), [(11_000.0, False), (13_000.0, True)])
def test_a_machine_that_was_busy_when_it_was_measured_is_refused_in_words(high, busy):
    cluster = MeasuredCluster(cores=2, spread={"speeds": (10_000.0, high)})
    forecast = lab.predict(synchronous, 2, cluster, (1,))
    for words in (forecast.note, forecast.refusal, cluster.refusal, cluster._repr_html_()):
        assert ("scattered by 30%" in words) is busy
    compared = Comparison(1.0, 1.0, "wall", forecast.note, forecast.refusal)
    assert ("refused" in forecast._repr_html_()) is ("refused" in compared._repr_html_()) is busy


def test_a_comparison_tells_both_times_and_their_ratio():
    forecast = lab.predict(lambda node: None, 1, PACE)
    assert forecast.elapsed_s == 0.0
    two = Comparison(predicted_s=0.5, measured_s=0.6, clock="wall", note="so far")
    assert two.ratio == pytest.approx(1.2)
    for words in ("500 ms", "600 ms", "wall clock", "1.20", "so far"):
        assert words in two._repr_html_()
    assert replace(two, predicted_s=0.0).ratio == float("inf")


def test_only_a_real_run_of_as_many_nodes_is_set_beside_it():
    forecast = lab.predict(synchronous, 2, PACE, (1,))
    with pytest.raises(ValueError, match="takes the history of a real run"):
        forecast.against(forecast.history)
    real = lab.run(synchronous, 3, args=(1,), progress=False)
    with pytest.raises(ValueError, match="a run of 3 nodes, and 2 were predicted"):
        forecast.against(real)


def test_errors_of_the_worker_are_those_of_simulate():
    with pytest.raises(lab.WorkerError, match="rank 1 was killed"):
        lab.predict(synchronous, 2, replace(PACE, fails={1: 0.1}))


# `make bench` tells how near predictions of real runs come; what must hold on a busy machine stands here


@pytest.mark.parametrize("worker", prediction.WORKERS.values(), ids=list(prediction.WORKERS))
def test_what_is_predicted_and_what_is_run_compute_and_send_the_same(worker):
    args = (lab.load_digits(), 8)
    predicted = lab.predict(worker, 2, lab.Cluster(), args=args).history
    real = lab.run(worker, 2, args=args, progress=False)
    assert real.bytes_sent == predicted.bytes_sent and real.messages_sent == predicted.messages_sent
    counts = [h.spans[h.spans.kind == "compute"].groupby("rank").size().tolist() for h in (real, predicted)]
    assert counts[0] == counts[1] and sum(counts[0]) >= 16


def test_every_worker_of_the_benchmark_has_an_error_above_minus_one():
    cluster = MeasuredCluster(speeds=60_000.0, flops_per_s=5e10, latency_s=2e-5, bandwidth_bytes_per_s=4e9)
    found = prediction.errors(cluster, steps=8, repeats=1)
    assert set(found) == {"synchronous", "parameter server", "pipeline"}
    assert all(-1 < error < float("inf") for error in found.values())
