"""DP-SGD: each sample clipped, the noise shared among the nodes, and plain SGD where neither is."""

import math
from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.private import clipped_sum, private
from ddl_lab.training.shards import poisson_batches

DATA = lab.load_digits().train.part(slice(0, 300))
RUN = partial(lab.run, progress=False, timeout_s=60)
SMALL = {"steps": 4, "rate": 0.1, "hidden": 8, "lr": 0.5}


def gradients(model, x, y):
    """Each sample's own, one after the other, (b, P)."""
    pairs = zip(x.split(1), y.split(1), strict=True)
    return torch.stack([lab.gradient(lab.bce_with_logits(model(a), b), model) for a, b in pairs])


@pytest.mark.parametrize("share", [math.inf, 1.0, 0.5, 0.01])
def test_the_closed_form_is_each_samples_gradient_clipped(share):
    model, x, y = lab.make_model(3, hidden=8), DATA.x[:40], DATA.y[:40]
    rows = gradients(model, x, y)
    clip = share * rows.norm(dim=1).median().item()
    expected = (rows * (clip / rows.norm(dim=1)).clamp(max=1)[:, None]).sum(0)
    found = clipped_sum(model, x, y, clip)
    assert (found - expected).norm() < 1e-5 * expected.norm()
    one = max(
        clipped_sum(model, a, b, clip).norm().item() for a, b in zip(x.split(1), y.split(1), strict=True)
    )
    assert one <= clip * (1 + 1e-5)


def test_a_batch_without_samples_has_no_gradient():
    model = lab.make_model(0, hidden=8)
    assert not clipped_sum(model, DATA.x[:0], DATA.y[:0], 1.0).any()
    theta = lab.simulate(partial(private, steps=3, rate=1e-6, sigma=0.0, hidden=8), 2, args=(DATA,)).results[
        0
    ]
    assert torch.equal(theta, lab.parameters(model))


@pytest.mark.parametrize("nodes", range(1, 6))
def test_without_clip_and_noise_it_is_sgd_on_poisson_batches(nodes):
    model = lab.make_model(0, hidden=8)
    for x, y in poisson_batches(DATA, None, 0.1, 4):
        loss = lab.bce_with_logits(model(x), y) * len(x) / 30
        lab.sgd_step(model, lab.gradient(loss, model), 0.5)
    worker = partial(private, clip=math.inf, sigma=0.0, **SMALL)
    theta = lab.simulate(worker, nodes, args=(DATA,)).results[0]
    assert (theta - lab.parameters(model)).norm() < 1e-5 * theta.norm()


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_the_noise_of_all_nodes_together_has_the_deviation_that_was_asked(nodes):
    worker = partial(private, steps=1, rate=0.1, lr=0.5, clip=2.0)
    noisy, plain = (lab.simulate(partial(worker, sigma=s), nodes, args=(DATA,)).results for s in (3.0, 0.0))
    step = 0.5 / (0.1 * 300)
    noise = (noisy[0] - plain[0]) / step
    assert noise.std().item() == pytest.approx(3.0 * 2.0, rel=0.02)  # of 50,000 numbers: 0.3 %
    assert abs(noise.mean().item()) < 0.2
    assert all(torch.equal(theta, noisy[0]) for theta in noisy)


@pytest.mark.parametrize("transport", ["shm", "gloo"])
def test_processes_draw_the_noise_that_a_simulation_does(transport):
    real, virtual = (
        engine(partial(private, **SMALL), 3, args=(DATA,))
        for engine in (partial(RUN, transport=transport), lab.simulate)
    )
    off = max((a - b).norm().item() for a, b in zip(real.results, virtual.results, strict=True))
    assert off == 0 if transport == "shm" else off < 1e-5
    assert real.bytes_sent == virtual.bytes_sent
