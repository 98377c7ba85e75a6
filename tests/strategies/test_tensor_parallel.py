"""Tensor parallelism: the numbers of one process, one all-reduce a block a pass, bytes of the formula."""

from functools import partial
from itertools import islice

import pytest
import torch
from reading import cells, defined

import ddl_lab as lab
from ddl_lab.cluster import collectives
from ddl_lab.strategies import tensor_parallel as tp

DIGITS = lab.load_digits()
WIDTHS = (784, 10, 6, 9, 1)  # neither 10 nor 9 divides by most node counts
STEPS, ROWS = 5, 33
RUN = partial(lab.run, progress=False, timeout_s=60)


class Solo:
    rank, world_size = 0, 1


def flat(blocks):
    return torch.cat([part.detach().reshape(-1) for block in blocks for part in block])


def one_process(blocks, steps=STEPS, rows=ROWS, lr=0.1):
    """Plain autograd over the whole network."""
    whole = [tp.Block(*(part.clone().requires_grad_() for part in block)) for block in blocks]
    leaves = [part for block in whole for part in block]
    for x, y in islice(lab.batches(DIGITS.train, Solo, rows), steps):
        for block in whole:
            x = tp.partial_sum(block, x) + block.bias
        slopes = torch.autograd.grad(lab.bce_with_logits(x, y), leaves)
        with torch.no_grad():
            for leaf, slope in zip(leaves, slopes, strict=True):
                leaf -= lr * slope
    return flat(whole)


def trained(engine, nodes, blocks, steps=STEPS, rows=ROWS):
    history = engine(tp.tensor_parallel, nodes, args=(DIGITS.train, blocks, steps, rows))
    return history, flat([tp.joined(slices) for slices in zip(*history.results, strict=True)])


@pytest.mark.parametrize("nodes", range(1, 9))
@pytest.mark.parametrize("widths", [(784, 10, 1), WIDTHS])
def test_any_number_of_nodes_trains_what_one_process_does(nodes, widths):
    blocks = tp.make_blocks(widths, seed=1)
    _, ours = trained(lab.simulate, nodes, blocks)
    theirs = one_process(blocks)
    assert (ours - theirs).norm() < 1e-6 * theirs.norm()
    assert (theirs - flat(blocks)).norm() > 1e-3 * theirs.norm()  # and it did train


@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_processes_and_simulation_agree_to_the_bit(nodes):
    blocks = tp.make_blocks(WIDTHS, seed=1)
    real, ours = trained(RUN, nodes, blocks)
    simulated, theirs = trained(lab.simulate, nodes, blocks)
    assert torch.equal(ours, theirs)
    assert (real.bytes_sent, real.messages_sent) == (simulated.bytes_sent, simulated.messages_sent)


@pytest.mark.parametrize("nodes", range(2, 9))
def test_bytes_are_those_of_one_all_reduce_a_block_a_pass(nodes):
    history, _ = trained(lab.simulate, nodes, tp.make_blocks(WIDTHS, seed=1), steps=1)
    calls = history.spans[history.spans.kind == "all_reduce"]
    assert len(calls) == 3 * nodes  # two forward, one backward: nobody wants the gradient of pixels
    sizes = [len(next(lab.batches(DIGITS.train, Solo, ROWS))[0]) * width for width in (6, 1, 6)]
    work = [collectives.even_work("all_reduce", size, nodes, 4) for size in sizes]
    for rank in range(nodes):
        sent = [collectives.traffic("ring", one, rank) for one in work]
        assert history.bytes_sent[rank] == sum(s[0] for s in sent)
        assert history.messages_sent[rank] == sum(s[1] for s in sent)


def test_bytes_don_t_depend_on_the_hidden_width():
    narrow, wide = (trained(lab.simulate, 2, tp.make_blocks((784, h, 1), 0), 2, rows=32)[0] for h in (4, 400))
    assert narrow.bytes_sent == wide.bytes_sent == [2 * 4 * 32] * 2  # two steps, 32 numbers of 4 bytes


@pytest.mark.parametrize(("hidden", "nodes"), [(256, 3), (7, 7), (9, 8), (5, 1)])
def test_every_unit_has_one_node_and_sizes_differ_by_one(hidden, nodes):
    class Place:
        def __init__(self, rank):
            self.rank, self.world_size = rank, nodes

    parts = [range(hidden)[tp.units(hidden, Place(rank))] for rank in range(nodes)]
    assert [unit for part in parts for unit in part] == list(range(hidden))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_more_nodes_than_units_is_an_error_that_says_both():
    with pytest.raises(lab.WorkerError, match="3 hidden units can't be split over 4 nodes"):
        trained(lab.simulate, 4, tp.make_blocks((784, 3, 1), 0))


@pytest.mark.parametrize("widths", [(784, 3), (784, 3, 4, 5)])
def test_widths_that_are_no_blocks_are_an_error(widths):
    with pytest.raises(ValueError, match="a block is inputs, hidden, outputs"):
        tp.make_blocks(widths, 0)


def gradient_of_the_input(node, reduce):
    block = tp.split(tp.make_blocks((5, 8, 3), seed=2)[0], node)
    x = torch.linspace(-1, 1, 20).view(4, 5)
    _, tape = tp.forward(node, [block], x, data=False)
    if not reduce:
        return torch.autograd.grad(tape[0][1], tape[0][0], torch.ones(4, 3))[0]
    return tp.backward(node, [block], tape, torch.ones(4, 3))[1]


@pytest.mark.parametrize("nodes", [2, 3, 8])
def test_what_leaves_a_block_backward_is_the_sum_over_nodes(nodes):
    (whole,) = lab.simulate(gradient_of_the_input, 1, args=(True,)).results
    parts = lab.simulate(gradient_of_the_input, nodes, args=(False,)).results
    sums = lab.simulate(gradient_of_the_input, nodes, args=(True,)).results
    assert all(torch.allclose(found, whole, rtol=1e-5, atol=1e-6) for found in sums)
    assert not any(torch.allclose(part, whole, rtol=1e-2) for part in parts)
    assert torch.allclose(torch.stack(parts).sum(0), whole, rtol=1e-5, atol=1e-6)


# Beside the lab


@pytest.mark.parametrize("engine", [lab.simulate, RUN], ids=["simulate", "run"])
@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_the_labs_worker_is_the_packages(engine, nodes):
    by_hand = defined("09", "s09-setup", "s09-worker")["tensor_parallel"]
    theirs = engine(by_hand, nodes, args=(6, 50))
    ours = engine(tp.tensor_parallel, nodes, args=(DIGITS.train, [tp.block_of(lab.make_model(0))], 6, 50))
    assert theirs.bytes_sent == ours.bytes_sent and theirs.messages_sent == ours.messages_sent
    for one, (other,) in zip(theirs.results, ours.results, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_the_labs_forward_and_backward_are_the_packages(nodes):
    names = defined("09", "s09-setup", "s09-pair", "s09-forward", "s09-backward")

    def gradients(node, forward, backward):
        blocks = [tp.split(block, node) for block in tp.make_blocks(WIDTHS, 3)]
        x, y = DIGITS.train.x[:ROWS], DIGITS.train.y[:ROWS]
        logits, tape = forward(node, blocks, x)
        return backward(node, blocks, tape, tp.loss_gradient(logits, y)[1])

    theirs = lab.simulate(gradients, nodes, args=(names["forward"], names["backward"]))
    ours = lab.simulate(gradients, nodes, args=(tp.forward, tp.backward))
    assert theirs.bytes_sent == ours.bytes_sent
    for one, (other, d_input) in zip(theirs.results, ours.results, strict=True):
        assert d_input is None
        assert torch.equal(flat(one), flat(other))


def test_the_labs_worker_is_at_most_25_lines():
    assert len(cells("09")["s09-worker"].splitlines()) <= 25
