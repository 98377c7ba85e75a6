"""Data parallelism with any optimiser: one process that accumulates, to the bit; states that drift."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.optimised import optimised
from ddl_lab.training.optimisers import LAMB, LARS, SGD, Adam, layers_of

TRAIN = lab.load_digits().train.part(slice(600))
LAYERS = layers_of(lab.make_model(seed=0, hidden=8))
KINDS = {"sgd": SGD(0.1, 0.9), "adam": Adam(0.01), "lars": LARS(LAYERS), "lamb": LAMB(LAYERS)}
small = partial(optimised, steps=6, batch_size=20, hidden=8)


def accumulating(node, nodes, optimiser):
    """One process: the gradients of the n nodes, added in rank order, as one step."""
    model = lab.make_model(seed=0, hidden=8)
    theta = lab.parameters(model)
    for (x, y), _ in zip(lab.batches(TRAIN, None, 20 * nodes), range(6), strict=False):
        total = torch.zeros_like(theta)
        for rows, targets in zip(x.split(20), y.split(20), strict=True):
            total += lab.gradient(lab.bce_with_logits(model(rows), targets), model)
        optimiser.step(theta, total / nodes)
    return theta


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("nodes", [1, 2, 3, 5])  # 600 samples come out even: batches of 20 each
def test_n_nodes_are_one_process_that_accumulates_to_the_bit(name, nodes):
    found = lab.simulate(partial(small, optimiser=KINDS[name]), nodes, args=(TRAIN,)).results
    (one,) = lab.simulate(accumulating, 1, args=(nodes, KINDS[name])).results
    assert all(torch.equal(theta, one) for theta in found)


def test_processes_find_the_same_bits():
    worker = partial(small, optimiser=Adam(0.01))
    real, simulated = lab.run(worker, 3, args=(TRAIN,)), lab.simulate(worker, 3, args=(TRAIN,))
    assert all(torch.equal(a, b) for a, b in zip(real.results, simulated.results, strict=True))
    assert real.bytes_sent == simulated.bytes_sent


def test_the_optimiser_that_is_handed_over_stays_as_it_was():
    mine = Adam(0.01)
    lab.simulate(partial(small, optimiser=mine), 2, args=(TRAIN,))
    assert mine.count == 0 and mine.mean is None


def test_states_of_their_own_lead_elsewhere_for_as_many_bytes():
    worker = partial(small, optimiser=Adam(0.01))
    shared, own = (lab.simulate(partial(worker, local=local), 3, args=(TRAIN,)) for local in (False, True))
    assert shared.bytes_sent == own.bytes_sent
    assert torch.equal(own.results[0], own.results[2])
    assert not torch.allclose(shared.results[0], own.results[0], atol=1e-3)


def test_plain_sgd_has_no_states_so_there_the_mistake_is_none():
    worker = partial(small, optimiser=SGD(0.1))
    shared, own = (lab.simulate(partial(worker, local=local), 3, args=(TRAIN,)) for local in (False, True))
    assert torch.allclose(shared.results[0], own.results[0], atol=1e-6)
