"""Failures on the virtual clock: nobody gets further than the run does."""

import pytest
import torch

import ddl_lab as lab
from ddl_lab.cluster.model import Cluster

FREE = {"latency_s": 0.0, "bandwidth_bytes_per_s": 1e30}


def fails(worker, nodes, **fields):
    with pytest.raises(lab.WorkerError) as caught:
        lab.simulate(worker, nodes, cluster=Cluster(**FREE, **fields))
    return caught.value


def writes(folder, every_s=1.0):
    """A worker that leaves a file after each of its compute spans, named by its rank and the time."""

    def worker(node):
        while node.now() < 20.0:
            with node.compute(seconds=every_s):
                pass
            (folder / f"{node.rank}-{node.now():g}").touch()

    return worker


def written(folder):
    return sorted(path.name for path in folder.iterdir())


def test_no_node_passes_the_next_failure_of_another(tmp_path):
    error = fails(writes(tmp_path, 2.0), 2, fails={1: 5.5})
    assert written(tmp_path) == ["0-2", "0-4", "1-2", "1-4"]
    assert error.at_s == error.history.elapsed_s == 5.5 and error.rank == 1 and error.killed


def test_what_ends_at_the_moment_of_the_failure_has_happened(tmp_path):
    fails(writes(tmp_path), 1, fails={0: 2.0})
    assert written(tmp_path) == ["0-1", "0-2"]


def test_of_a_span_in_which_its_node_dies_nothing_is_done(tmp_path):
    def worker(node):
        for span in range(4):
            with node.compute(seconds=1.0):
                (tmp_path / f"{node.rank}-{span}").touch()

    fails(worker, 2, fails={1: 1.5})
    assert written(tmp_path) == ["0-0", "0-1", "1-0"], "rank 0 is at work, and ended from outside"


def test_a_node_goes_on_where_the_one_that_would_fail_has_returned(tmp_path):
    def worker(node):
        if node.rank == 0:
            writes(tmp_path)(node)

    history = lab.simulate(worker, 3, cluster=Cluster(**FREE, fails={1: 5.5, 2: 7.0}))
    assert len(written(tmp_path)) == 20 and history.elapsed_s == 20.0 and history.failed_s is None


def test_failures_that_never_come_change_neither_times_nor_numbers():
    def worker(node):
        torch.manual_seed(node.rank)
        for step in range(5):
            with node.compute(samples=10 + node.rank):
                tensor = torch.rand(7)
            if node.rank == 0 and step == 2:
                handle = node.irecv(torch.empty(1), 1)
                while not handle.done():
                    pass
            elif node.rank == 1 and step == 2:
                node.isend(torch.ones(1), 0).wait()
            node.all_reduce(tensor)
            node.record(sum=tensor.sum())

    plain = Cluster(jitter="exponential", algorithm="auto")
    histories = [
        lab.simulate(worker, 3, cluster=cluster)
        for cluster in (plain, Cluster(jitter="exponential", algorithm="auto", mtbf_s=1e9))
    ]
    assert histories[0].metrics.equals(histories[1].metrics)
    assert histories[0].spans.equals(histories[1].spans)


def test_a_node_that_looks_again_and_again_does_not_look_past_the_failure():
    def worker(node):
        if node.rank == 0:
            handle = node.irecv(torch.empty(1), 1)
            while not handle.done():
                node.record(at=node.now())
        else:
            with node.compute(seconds=1.0):
                pass

    error = fails(worker, 2, fails={1: 5.5e-6})
    assert error.history.metrics["at"].max() == pytest.approx(5e-6)


def test_mtbf_kills_the_node_that_is_drawn_first():
    cluster = Cluster(mtbf_s=10.0, seed=3)
    at_s, rank = min((cluster.fails_s(rank), rank) for rank in range(4))

    def worker(node):
        while True:
            with node.compute(seconds=0.01):
                pass
            node.barrier()

    with pytest.raises(lab.WorkerError, match=r"mtbf_s=10 with seed=3 lets it fail after") as caught:
        lab.simulate(worker, 4, cluster=cluster)
    assert (caught.value.at_s, caught.value.rank) == (at_s, rank)


def test_what_others_did_after_a_worker_raised_is_not_in_its_history():
    def worker(node):
        with node.compute(seconds=(100.0, 1.0, 0.5)[node.rank]):
            pass
        node.record(at=node.now())
        if node.rank == 1:
            raise ValueError("no")

    error = fails(worker, 3)
    assert error.at_s == error.history.elapsed_s == 1.0 and not error.killed
    assert error.history.metrics["rank"].tolist() == [1, 2]
    assert error.history.finished_s == {2: 0.5}
