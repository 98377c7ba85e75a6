"""Meshes of data, pipeline and tensor: the numbers of one process, the right neighbours, clear errors."""

from dataclasses import replace
from functools import partial
from itertools import islice
from math import prod

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.strategies import hybrid, meshes
from ddl_lab.strategies import tensor_parallel as tp
from ddl_lab.strategies.activations import Live

DIGITS = lab.load_digits()
WIDTHS = (784, 10, 6, 9, 5, 8, 1)  # three blocks
BLOCKS = tp.make_blocks(WIDTHS, seed=1)
RUN = partial(lab.run, progress=False, timeout_s=60)
SHAPES = [
    (1, 1, 1), (2, 1, 1), (5, 1, 1), (1, 2, 1), (1, 3, 1),
    (1, 1, 3), (2, 2, 1), (2, 1, 2), (1, 3, 2), (2, 2, 2),
]  # fmt: skip


def flat(blocks):
    return torch.cat([part.detach().reshape(-1) for block in blocks for part in block])


def trained(engine, shape, rows=11, micro_batches=3, steps=4, blocks=BLOCKS):
    args = (DIGITS.train, blocks, shape, steps, rows, micro_batches)
    return engine(hybrid.hybrid, prod(shape), args=args)


def whole(history, shape, data=0):
    """All parameters, of the replica at ``data``, flat."""
    found = []
    for stage in range(shape[1]):
        ranks = [r for r in range(prod(shape)) if hybrid.coordinates(r, shape)[:2] == (data, stage)]
        found += [tp.joined(slices) for slices in zip(*(history.results[r] for r in ranks), strict=True)]
    return flat(found)


def accumulated(replicas, rows, steps=4, lr=0.1):
    """One process that adds up the gradients of all replicas' batches, each sample counting alike."""
    theirs = [tp.Block(*(part.clone().requires_grad_() for part in block)) for block in BLOCKS]
    leaves = [part for block in theirs for part in block]

    def place(r):
        return type("Place", (), {"rank": r, "world_size": replicas})

    streams = [islice(lab.batches(DIGITS.train, place(r), rows), steps) for r in range(replicas)]
    for parts in zip(*streams, strict=True):
        x, y = torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
        for block in theirs:
            x = tp.partial_sum(block, x) + block.bias
        slopes = torch.autograd.grad(lab.bce_with_logits(x, y), leaves)
        with torch.no_grad():
            for leaf, slope in zip(leaves, slopes, strict=True):
                leaf -= lr * slope
    return flat(theirs)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_mesh_trains_what_one_process_does(shape):
    history, theirs = trained(lab.simulate, shape), accumulated(shape[0], 11)
    for data in range(shape[0]):  # unequal batches of 10 and 11 digits among them, and of 3 and 4
        ours = whole(history, shape, data)
        assert (ours - theirs).norm() < 1e-6 * theirs.norm()
    assert (theirs - flat(BLOCKS)).norm() > 1e-3 * theirs.norm()


@pytest.mark.parametrize("shape", [(2, 1, 2), (1, 3, 1), (2, 2, 2)], ids=str)
def test_processes_and_simulation_agree_to_the_bit(shape):
    real, simulated = trained(RUN, shape), trained(lab.simulate, shape)
    assert torch.equal(whole(real, shape), whole(simulated, shape))
    assert (real.bytes_sent, real.messages_sent) == (simulated.bytes_sent, simulated.messages_sent)


@pytest.mark.parametrize("micro_batches", [1, 2, 7, 10])
def test_any_number_of_micro_batches_gives_the_same(micro_batches):
    history, theirs = trained(lab.simulate, (1, 3, 1), micro_batches=micro_batches), accumulated(1, 11)
    assert (whole(history, (1, 3, 1)) - theirs).norm() < 1e-6 * theirs.norm()
    steps, borders, ways = 4, 2, 2
    assert sum(history.messages_sent) == steps * borders * ways * micro_batches


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 2)], ids=str)
def test_the_last_stage_records_the_loss_of_one_process(shape):
    recorded = trained(lab.simulate, shape, steps=1).metrics.dropna(subset="loss")
    x, y = next(iter(lab.batches(DIGITS.train, type("Place", (), {"rank": 0, "world_size": 1}), 11)))
    for block in BLOCKS:
        x = tp.partial_sum(block, x) + block.bias
    assert len(recorded) == shape[2]
    assert recorded.loss.to_numpy() == pytest.approx(float(lab.bce_with_logits(x, y)), rel=1e-6)


@pytest.mark.parametrize("micro_batches", [0, 20])
def test_micro_batches_that_a_batch_does_not_have_are_refused(micro_batches):
    with pytest.raises(lab.WorkerError, match=f"a batch of 8 digits can't be cut into {micro_batches} micro"):
        trained(lab.simulate, (1, 1, 1), rows=8, micro_batches=micro_batches)


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


@pytest.mark.parametrize("shape", [*SHAPES, (2, 3, 4)], ids=str)
def test_a_rank_is_its_coordinates_and_its_groups_differ_in_one(shape):
    places = [hybrid.coordinates(rank, shape) for rank in range(prod(shape))]
    assert places == sorted(places) and len(set(places)) == prod(shape)

    def ranks(node):
        mesh = hybrid.make_mesh(node, shape)
        found = []
        for group in mesh:
            box = torch.zeros(group.world_size)
            group.all_gather(box, torch.tensor([float(node.rank)]))
            found.append((group.rank, [int(rank) for rank in box]))
        return found

    for rank, groups in enumerate(lab.simulate(ranks, prod(shape)).results):
        for dimension, (here, members) in enumerate(groups):
            assert here == places[rank][dimension]
            for place, member in enumerate(members):
                expected = [*places[rank]]
                expected[dimension] = place
                assert list(places[member]) == expected


@pytest.mark.parametrize("shape", [(2, 2, 3), (1, 1, 1), (4, 4, 1)], ids=str)
def test_a_mesh_that_doesn_t_multiply_to_the_nodes_is_an_error_that_names_both(shape):
    told = f"data {shape[0]} x pipeline {shape[1]} x tensor {shape[2]} has {prod(shape)} places for 8 nodes"
    with pytest.raises(ValueError, match=told):
        hybrid.check_shape(shape, 8)
    with pytest.raises(lab.WorkerError, match=told):
        lab.simulate(hybrid.hybrid, 8, args=(DIGITS.train, BLOCKS, shape, 1))


@pytest.mark.parametrize("shape", [(2, 4), (8, 0, 1), (2.0, 2, 2), 2, (None, 8)], ids=str)
def test_a_shape_that_is_none_is_an_error(shape):
    with pytest.raises(ValueError, match="three whole numbers from 1"):
        hybrid.check_shape(shape, 8)


@pytest.mark.parametrize("wrong", [{"micro_batches": 0}, {"width": -16}, {"layers": 1.5}], ids=str)
def test_a_job_of_sizes_that_are_none_is_an_error(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*: give a whole number from 1"):
        replace(JOB, **wrong)


def test_a_mesh_on_which_the_job_is_uneven_is_not_rehearsed():
    with pytest.raises(lab.WorkerError, match="doesn't come out even on the mesh"):
        lab.simulate(meshes.rehearse, 3, args=((1, 3, 1), JOB))


@pytest.mark.parametrize(("ahead", "formula_ms"), [(False, 8 * (1 + 2)), (True, 1 + 8 * 2)])
def test_the_labs_prefetch_takes_its_formula(ahead, formula_ms):
    """L (g + c) without, g + L c with: eight layers of 2 ms, and a gather of 3 chunks of 0.3 MB."""
    layers = defined("09", "s09-setup", "s09-prefetch")["layers"]
    cluster = lab.Cluster(latency_s=0.1e-3, bandwidth_bytes_per_s=1e9)
    elapsed_s = lab.simulate(layers, 4, cluster=cluster, args=(ahead,)).elapsed_s
    assert elapsed_s * 1e3 == pytest.approx(formula_ms, rel=0.03)


def test_more_stages_than_blocks_is_an_error_that_names_both():
    with pytest.raises(lab.WorkerError, match="4 pipeline stages for 3 blocks"):
        trained(lab.simulate, (1, 4, 1))


@pytest.mark.parametrize("shape", [(2, 2), (4, 1), (1, 3), (1, 1)], ids=str)
def test_the_labs_grid_is_the_packages_mesh(shape):
    names = defined("10", "s10-setup", "s10-grid")
    nodes = prod(shape)
    theirs = lab.simulate(names["grid"], nodes, args=(shape, 3))
    blocks = [tp.block_of(lab.make_model(seed=0))]
    ours = lab.simulate(hybrid.hybrid, nodes, args=(DIGITS.train, blocks, (shape[0], 1, shape[1]), 3, 50))
    for one, (other,) in zip(theirs.results, ours.results, strict=True):
        assert (flat([one]) - flat([other])).norm() < 1e-6 * flat([other]).norm()


# The cost model

JOB = meshes.Job(width=16, layers=4, tokens=256, micro_batches=4)
CLUSTER = lab.Cluster(
    flops_per_s=1e8, host_size=4, latency_s=1e-4, bandwidth_bytes_per_s=1e8,
    host_latency_s=1e-5, host_bandwidth_bytes_per_s=1e9,
)  # fmt: skip


@pytest.mark.parametrize("nodes", [1, 2, 4, 8])
def test_the_forecast_is_what_the_simulation_plays(nodes):
    found = meshes.search(nodes, JOB, CLUSTER)
    assert found
    for one in found:
        played = lab.simulate(meshes.rehearse, nodes, cluster=CLUSTER, args=(one.shape, JOB)).elapsed_s
        assert one.seconds == pytest.approx(played, rel=1e-6), one


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
