"""Meshes of data, pipeline and tensor: the numbers of one process, the right neighbours, clear errors."""

from functools import partial
from itertools import islice
from math import prod

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.counted import counted
from ddl_lab.strategies import hybrid
from ddl_lab.strategies import tensor_parallel as tp

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
    places = counted(prod(shape), "place")
    told = f"data {shape[0]} x pipeline {shape[1]} x tensor {shape[2]} has {places} for 8 nodes"
    with pytest.raises(ValueError, match=told):
        hybrid.check_shape(shape, 8)
    with pytest.raises(lab.WorkerError, match=told):
        lab.simulate(hybrid.hybrid, 8, args=(DIGITS.train, BLOCKS, shape, 1))


@pytest.mark.parametrize("shape", [(2, 4), (8, 0, 1), (2.0, 2, 2), 2, (None, 8)], ids=str)
def test_a_shape_that_is_none_is_an_error(shape):
    with pytest.raises(ValueError, match="three whole numbers from 1"):
        hybrid.check_shape(shape, 8)


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
