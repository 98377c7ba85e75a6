"""Which mesh: what a step costs and a node holds, by formula; the formula is what a simulation plays."""

from dataclasses import replace
from math import prod

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies import meshes
from ddl_lab.strategies import tensor_parallel as tp
from ddl_lab.strategies.activations import Live
from ddl_lab.strategies.rehearsal import rehearse

JOB = meshes.Job(width=16, layers=4, tokens=256, micro_batches=4)
CLUSTER = lab.Cluster(
    flops_per_s=1e8, host_size=4, latency_s=1e-4, bandwidth_bytes_per_s=1e8,
    host_latency_s=1e-5, host_bandwidth_bytes_per_s=1e9,
)  # fmt: skip


def test_shapes_are_all_factorings_and_the_search_is_sorted():
    assert len(list(meshes.shapes(64))) == len(set(meshes.shapes(64))) == 28
    assert all(prod(shape) == 64 for shape in meshes.shapes(64))
    seconds = [one.seconds for one in meshes.search(8, JOB, CLUSTER)]
    assert seconds == sorted(seconds)


def test_a_mesh_that_doesn_t_come_out_even_is_left_out_and_is_an_error_when_asked_for():
    assert (1, 8, 1) not in [one.shape for one in meshes.search(8, JOB, CLUSTER)]  # 4 blocks, 8 stages
    with pytest.raises(ValueError, match="doesn't come out even"):
        meshes.forecast((1, 8, 1), JOB, CLUSTER)


def test_memory_is_parameters_states_and_activations():
    activations = 64 * 4 * (16 + 64) * 4  # of a micro-batch of 64 rows in all 4 blocks
    assert JOB.node_bytes((1, 1, 1)) == 16 * JOB.parameters + activations
    assert JOB.node_bytes((4, 1, 1)) == 16 * JOB.parameters + activations / 4
    assert JOB.node_bytes((1, 1, 2)) == 8 * JOB.parameters + 64 * 4 * (16 + 32) * 4


def test_the_first_stage_holds_as_many_micro_batches_as_there_are_stages():
    activations = 64 * 4 * (16 + 64) * 4
    assert JOB.node_bytes((1, 4, 1)) == 4 * JOB.parameters + activations  # 4 of them, in one block
    few = replace(JOB, micro_batches=2)
    assert few.node_bytes((1, 4, 1)) == 4 * JOB.parameters + activations  # 2 of them, each twice as large


def test_adam_s_states_are_half_of_what_is_kept_and_shared_out_along_data():
    plain, sharded = (replace(JOB, shard_states=on).node_bytes((4, 1, 2)) for on in (False, True))
    assert plain - sharded == 4 * JOB.parameters * 3 / 4


@pytest.mark.parametrize("tensor", [1, 4, 8])
def test_the_activations_of_the_formula_are_those_that_autograd_saves(tensor):
    job = meshes.Job(width=128, layers=2, tokens=512, micro_batches=4)

    def saved(node):
        mine = [tp.split(block, node) for block in tp.make_blocks((128, 512, 128, 512, 128), seed=0)]
        live = Live(part for block in mine for part in block)
        x, tape = torch.rand(job.rows((1, 1, tensor)), 128), []
        for block in mine:
            x = live.watch(x.detach().requires_grad_())
            with live:
                part = tp.partial_sum(block, x)
            tape.append((x, part))  # lives on
            x = tp.leave(node, part) + block.bias.detach()
        return live.bytes

    formula = job.node_bytes((1, 1, tensor)) - 16 * job.parameters / tensor
    assert lab.simulate(saved, tensor).results == [formula] * tensor


@pytest.mark.parametrize("wrong", [{"micro_batches": 0}, {"width": -16}, {"layers": 1.5}], ids=str)
def test_a_job_of_sizes_that_are_none_is_an_error(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*: give a whole number from 1"):
        replace(JOB, **wrong)


# sharded along data


@pytest.mark.parametrize("algorithm", ["ring", "two-level"])
@pytest.mark.parametrize("shards", [1, 2, 4, 8])
def test_the_forecast_is_what_the_simulation_plays(shards, algorithm):
    """1F1B with its messages, and FSDP with what it hides, on every mesh, to rounding."""
    cluster, job = replace(CLUSTER, algorithm=algorithm), replace(JOB, shards=shards)
    found = meshes.search(8, job, cluster)
    assert found and all(one.shape[0] % shards == 0 for one in found)
    for one in found:
        played = lab.simulate(rehearse, 8, cluster=cluster, args=(one.shape, job)).elapsed_s
        assert one.seconds == pytest.approx(played, rel=1e-6), one


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_it_is_on_fewer_nodes_too(nodes):
    for one in meshes.search(nodes, JOB, CLUSTER):
        played = lab.simulate(rehearse, nodes, cluster=CLUSTER, args=(one.shape, JOB)).elapsed_s
        assert one.seconds == pytest.approx(played, rel=1e-6), one


def test_shards_want_a_data_group_that_they_divide_and_no_pipeline():
    job = replace(JOB, shards=4)
    assert [shape for shape in meshes.shapes(8) if job.fits(shape)] == [(4, 1, 2), (8, 1, 1)]
    with pytest.raises(ValueError, match=r"shards=4.*doesn't come out even on the mesh"):
        meshes.forecast((2, 4, 1), job, CLUSTER)


def test_a_shard_is_an_nth_and_three_blocks_are_whole():
    activations, block = 16 * 4 * (16 + 64) * 4, 8 * 16**2
    whole = replace(JOB, shards=4).node_bytes((4, 1, 1))
    assert whole == 16 * JOB.parameters / 4 + 3 * 4 * block + activations
    hsdp = replace(JOB, shards=2).node_bytes((4, 1, 1))
    assert hsdp == 16 * JOB.parameters / 2 + 3 * 4 * block + activations


def test_a_gather_that_is_faster_than_a_block_is_hidden_but_for_the_first():
    """Where messages are free to start and fast: the first gather, and the last gradient's scatter."""
    fast = lab.Cluster(flops_per_s=1e8, latency_s=0, bandwidth_bytes_per_s=1e9)
    one = meshes.forecast((4, 1, 1), replace(JOB, shards=4), fast)
    block = fast.cost("all_gather", 4 * 8 * 16**2, 4).seconds
    assert one.parts["data"] == pytest.approx(2 * block)


def test_names_say_how_it_is_sharded():
    def name(**changes):
        return meshes.forecast((4, 1, 2), replace(JOB, **changes), CLUSTER).name

    told = [name(), name(shards=4), name(shards=2), name(shard_states=True)]
    assert told == ["4 × 1 × 2", "4 × 1 × 2 + FSDP", "4 × 1 × 2 + HSDP 2", "4 × 1 × 2 + ZeRO-1"]
