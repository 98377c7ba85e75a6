"""Optimisers of one flat tensor: torch's own steps, layer by layer, and what a scaled loss changes."""

from copy import deepcopy

import pytest
import torch

import ddl_lab as lab
from ddl_lab.training.optimisers import LAMB, LARS, SGD, Adam, AdamW, layers_of, scaled_to

TORCHS = {
    "sgd": (lambda: SGD(0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum": (lambda: SGD(0.1, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    "adam": (lambda: Adam(0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
    "adamw": (lambda: AdamW(0.01), lambda p: torch.optim.AdamW(p, lr=0.01)),
    "decay": (lambda: AdamW(0.01, 0.3), lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.3)),
}


def gradients(count=5, size=12):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(size, generator=generator) for _ in range(count)]


def after(optimiser, given, start=None):
    theta = torch.linspace(-1, 2, 12) if start is None else start.clone()
    for gradient in given:
        optimiser.step(theta, gradient)
    return theta


@pytest.mark.parametrize("name", TORCHS)
def test_steps_are_torchs_own(name):
    ours, theirs = TORCHS[name]
    leaf = torch.nn.Parameter(torch.linspace(-1, 2, 12))
    optimiser = theirs([leaf])
    for gradient in gradients():
        leaf.grad = gradient.clone()
        optimiser.step()
    assert torch.allclose(after(ours(), gradients()), leaf.detach(), atol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda: SGD(0.1, 0.9), lambda: LARS([5, 7]), lambda: LAMB([5, 7]), Adam, AdamW]
)
def test_the_gradient_stays_as_it_was(make):
    given = gradients()
    after(make(), given)
    assert all(torch.equal(now, before) for now, before in zip(given, gradients(), strict=True))


def test_lars_steps_the_same_for_a_loss_times_a_thousand_and_sgd_does_not():
    larger = [1000 * gradient for gradient in gradients()]
    assert torch.allclose(after(LARS([5, 7]), gradients()), after(LARS([5, 7]), larger), atol=1e-6)
    assert not torch.allclose(after(SGD(0.1), gradients()), after(SGD(0.1), larger), atol=1e-2)


@pytest.mark.parametrize("make", [lambda: LARS([5, 7], lr=0.1), lambda: LAMB([5, 7], lr=0.1)])
def test_each_layers_first_step_is_a_tenth_of_its_length(make):
    start = torch.linspace(-1, 2, 12)
    step = start - after(make(), gradients(1), start)
    for mine, layer in zip(step.split([5, 7]), start.split([5, 7]), strict=True):
        assert torch.isclose(mine.norm(), 0.1 * layer.norm(), rtol=1e-5)


def test_decay_is_beside_the_means_and_not_in_them():
    """What AdamW shrinks is the parameters; its states are Adam's, and without decay so are its steps."""
    shrinking, plain = AdamW(0.01, 0.3), Adam(0.01)
    start = torch.linspace(-1, 2, 12)
    apart = after(plain, gradients(1), start) - after(shrinking, gradients(1), start)
    assert torch.allclose(apart, 0.01 * 0.3 * start, atol=1e-6)
    assert torch.equal(shrinking.mean, plain.mean) and torch.equal(shrinking.square, plain.square)
    assert torch.equal(after(AdamW(0.01, 0.0), gradients()), after(Adam(0.01), gradients()))


def test_a_layer_of_zeros_takes_the_direction_as_it_is():
    theta, way = torch.tensor([0.0, 0.0, 3.0, 4.0]), torch.tensor([1.0, 2.0, 0.0, 0.5])
    assert torch.allclose(scaled_to(theta, way, [2, 2]), torch.tensor([1.0, 2.0, 0.0, 5.0]))
    assert torch.equal(scaled_to(theta, torch.zeros(4), [2, 2]), torch.zeros(4))


def test_the_layers_of_a_model_are_its_weights_and_biases():
    model = lab.make_model(seed=0, hidden=3)
    assert layers_of(model) == [784 * 3, 3, 3, 1]
    assert sum(layers_of(model)) == len(lab.parameters(model))


def test_a_copy_goes_on_by_itself():
    first = Adam(0.01)
    start = after(first, gradients(2))
    second = deepcopy(first)
    assert torch.equal(after(first, gradients(3), start), after(second, gradients(3), start))
    assert first.count == second.count == 5
    assert first.mean.data_ptr() != second.mean.data_ptr()
