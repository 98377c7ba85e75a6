"""Lab 10: two levels by hand are the package's, and the chooser keeps the fastest of each name."""

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.strategies.collectives import two_level_all_reduce

GPUS = lab.Cluster(
    host_size=4, host_latency_s=1e-6, host_bandwidth_bytes_per_s=1e9, latency_s=1e-5,
    bandwidth_bytes_per_s=1e8,
)  # fmt: skip


@pytest.mark.parametrize("nodes", [4, 8, 12])
def test_two_levels_by_hand_are_the_packages_and_take_what_a_cluster_charges(nodes):
    two_level = defined("10", "s10-setup", "s10-levels")["two_level"]

    def worker(node, how):
        tensor = torch.arange(24.0) * (node.rank + 1)
        how(node, tensor, 4)
        return tensor

    ours, theirs = (
        lab.simulate(worker, nodes, cluster=GPUS, args=(how,)) for how in (two_level, two_level_all_reduce)
    )
    right = torch.arange(24.0) * sum(range(1, nodes + 1))
    assert all(torch.equal(found, right) for run in (ours, theirs) for found in run.results)
    assert ours.bytes_sent == theirs.bytes_sent
    if nodes > 4:
        levelled = lab.Cluster(**{**GPUS.__dict__, "algorithm": "two-level"})
        assert ours.elapsed_s == pytest.approx(levelled.cost("all_reduce", 96, nodes).seconds)


def test_the_chooser_has_each_name_once_the_fastest_first_and_only_what_fits():
    names = defined("10", "s10-setup", "s10-job", "s10-fsdp")
    gpus = lab.Cluster(flops_per_s=1e14, host_size=8, algorithm="two-level")
    found = names["fastest"](gpus)
    assert [one.seconds for one in found] == sorted(one.seconds for one in found)
    assert len({one.name for one in found}) == len(found) > 10
    assert all(one.node_bytes <= 40e9 for one in found)
    every = names["fastest"](gpus, float("inf"))
    assert {one.name for one in found} < {one.name for one in every}
