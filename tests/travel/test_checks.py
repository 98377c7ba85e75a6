"""What can't be run is refused in one clear sentence: the value, the range, the mend."""

import numpy as np
import pytest

from ddl_lab.cluster.model import Cluster
from ddl_lab.travel.checks import check_args, check_worker
from ddl_lab.virtual.simulation import simulate


@pytest.mark.parametrize("nodes", [0, -1, 2.5, "four", True, 10_000_000, None])
def test_a_count_of_nodes_out_of_range_is_refused_with_value_range_and_mend(nodes):
    told = f"{nodes:,}" if type(nodes) is int else repr(nodes)
    with pytest.raises((TypeError, ValueError), match=f"from 1 to 100,000, got {told}: .+") as caught:
        simulate(lambda node: None, nodes)
    assert len(str(caught.value).splitlines()) == 1


def test_a_whole_number_of_numpy_is_a_count_of_nodes():
    assert simulate(lambda node: node.world_size, np.int64(3)).results == [3] * 3


async def coroutine(node): ...


def generator(node):
    yield


def nodeless(): ...


@pytest.mark.parametrize(
    ("worker", "args", "told"),
    [
        (3, (), "worker must be a function of a node, got 3"),
        (lambda: 0, (), r"<lambda>\(\) takes no node: write lambda node: …"),
        (nodeless, (), r"nodeless\(\) takes no node: write def nodeless\(node\): …"),
        (lambda *, node: 0, (), "takes no node"),
        (lambda node, lr: 0, (), "missing a required argument: 'lr'"),
        (lambda node: 0, (1,), "too many positional arguments"),
        (coroutine, (), "coroutine is async"),
        (generator, (), "generator is a generator"),
    ],
)
def test_a_worker_that_cannot_be_called_with_a_node_is_refused(worker, args, told):
    with pytest.raises(TypeError, match=told):
        simulate(worker, 2, args=args)


def test_workers_of_many_kinds_are_accepted():
    class Callable:
        def __call__(self, node): ...

        def method(self, node): ...

    for worker in (Callable(), Callable().method, lambda *all_: 0, lambda node, lr=1: 0, print, max):
        check_worker(worker, ())
    assert check_args([1, 2]) == (1, 2)


def test_args_that_are_no_tuple_and_clusters_that_are_none_are_refused():
    with pytest.raises(
        TypeError, match=r"args must be a tuple .* got 0\.1 \(a float\): write args=\(0\.1,\)"
    ):
        simulate(lambda node, lr: 0, 2, args=0.1)
    with pytest.raises(TypeError, match=r"cluster must be a Cluster, got 'fast' \(a str\)"):
        simulate(lambda node: 0, 2, cluster="fast")
    with pytest.raises(ValueError, match="speeds has 3 entries for 2 nodes"):
        simulate(lambda node: 0, 2, cluster=Cluster(speeds=[1.0, 2.0, 3.0]))
