"""A stream: what one process does that keeps a network for each node; tested before it is learned."""

from itertools import islice

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.streams import online

TRAIN = lab.load_digits().train.part(slice(240))


def in_one_process(nodes, steps, every, swap, lr=0.2, seed=0):
    """So many networks in one process, and what each rank would record, by step; no node in it."""
    models = [lab.make_model(seed, hidden=8) for _ in range(nodes)]
    thetas, right = [lab.parameters(model) for model in models], []
    order = list(lab.batches(TRAIN, None, 4 * nodes, epoch=seed))
    for step, (xs, ys) in enumerate(islice(order, steps), start=1):
        pairs = list(zip(models, xs.chunk(nodes), (ys if step <= swap else 1 - ys).chunk(nodes), strict=True))
        right.append([((model(x) > 0) == (y > 0.5)).float().mean().item() for model, x, y in pairs])
        steps_of = [lab.gradient(lab.bce_with_logits(model(x), y), model) for model, x, y in pairs]
        if every == 1:
            steps_of = [sum(steps_of) / nodes] * nodes
        for theta, gradient in zip(thetas, steps_of, strict=True):
            theta -= lr * gradient
        if every > 1 and step % every == 0:
            mean = sum(theta.clone() for theta in thetas) / nodes
            for theta in thetas:
                theta.copy_(mean)
    return thetas, right


@pytest.mark.parametrize("every", [0, 1, 3])
@pytest.mark.parametrize("nodes", [1, 3])
def test_the_nodes_do_what_one_process_does_with_a_network_for_each(nodes, every):
    found = lab.simulate(online, nodes, args=(TRAIN, 12, every, 6, 0.2, 4, 8))
    thetas, right = in_one_process(nodes, 12, every, 6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found.results, thetas, strict=True))
    told = found.metrics.pivot(index="step", columns="rank", values="right").to_numpy()
    assert told == pytest.approx(torch.tensor(right).numpy())


@pytest.mark.parametrize(("every", "messages"), [(0, 0), (1, 12), (5, 2)])
def test_who_averages_seldom_sends_seldom(every, messages):
    found = lab.simulate(online, 4, args=(TRAIN, 12, every, 6, 0.2, 4, 8))
    assert set(found.messages_sent) == {messages * 2 * 3}


def test_a_digit_is_tested_before_it_is_learned():
    """At a rate of 0 nothing is learned, so a swap turns every right answer into a wrong one."""
    swapped, plain = (
        lab.simulate(online, 2, args=(TRAIN, 12, 0, swap, 1e-9, 4, 8)).metrics for swap in (6, 12)
    )
    late = plain.step >= 6
    assert (swapped.right[late] == 1 - plain.right[late]).all()
    assert (swapped.right[~late] == plain.right[~late]).all()


def test_seeds_draw_other_orders_and_other_networks():
    first, second = (lab.simulate(online, 2, args=(TRAIN, 3, 1, 6, 0.2, 4, 8, seed)) for seed in (0, 1))
    assert not torch.allclose(first.results[0], second.results[0], atol=1e-3)


@pytest.mark.parametrize("every", [0, 1, 4])
def test_processes_find_the_same_bits(every):
    told = (TRAIN, 8, every, 4, 0.2, 4, 8)
    real, simulated = lab.run(online, 3, args=told, progress=False), lab.simulate(online, 3, args=told)
    assert all(torch.equal(a, b) for a, b in zip(real.results, simulated.results, strict=True))
    assert (real.bytes_sent, real.messages_sent) == (simulated.bytes_sent, simulated.messages_sent)
