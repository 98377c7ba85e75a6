"""Elastic averaging: what nodes and centre have together is conserved, and the centre never leaps."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.elastic import elastic, pulled
from ddl_lab.strategies.local_steps import local_sgd

TRAIN = lab.load_digits().train.part(slice(600))
small = partial(elastic, batch_size=20, hidden=8)


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
def test_all_nodes_and_the_centre_together_are_conserved(nodes):
    start = torch.randn(nodes + 1, 40, generator=torch.Generator().manual_seed(2))

    def pulls(node):
        theta, centre = start[node.rank].clone(), start[nodes].clone()
        for _ in range(5):
            pulled(node, theta, centre, 0.15)
        return theta, centre

    found = lab.simulate(pulls, nodes).results
    total = sum(theta for theta, _ in found) + found[0][1]
    assert torch.allclose(total, start.sum(0), atol=1e-5)
    assert all(torch.equal(found[0][1], centre) for _, centre in found)
    apart = max((theta - found[0][1]).norm() for theta, _ in found)
    assert apart < 0.9 * max((one - start[nodes]).norm() for one in start[:nodes])


def test_alpha_of_one_over_n_puts_the_centre_on_the_mean():
    start = torch.tensor([[0.0], [4.0], [8.0], [100.0]])

    def once(node):
        theta, centre = start[node.rank].clone(), torch.tensor([50.0])
        pulled(node, theta, centre, 0.25)
        return centre.item()

    assert lab.simulate(once, 4).results == [28.0] * 4


def test_every_rank_returns_the_same_centre_behind_plain_averages():
    found = lab.simulate(partial(small, steps=10, every=5), 4, args=(TRAIN,))
    assert all(torch.equal(found.results[0], centre) for centre in found.results)
    assert set(found.messages_sent) == {2 * 3 * 2}
    began = lab.parameters(lab.make_model(seed=0, hidden=8))
    mean = lab.simulate(partial(local_sgd, steps=10, every=5, batch_size=20, hidden=8), 4, args=(TRAIN,))
    assert 0 < (found.results[0] - began).norm() < (mean.results[0] - began).norm()


@pytest.mark.parametrize("alpha", [0, -0.1, 0.3])
def test_an_alpha_that_would_leap_is_refused(alpha):
    with pytest.raises(lab.WorkerError, match="1 / n at most"):
        lab.simulate(partial(small, steps=1, every=1, alpha=alpha), 4, args=(TRAIN,))


def test_processes_find_the_same_bits():
    worker = partial(small, steps=6, every=3)
    real, simulated = lab.run(worker, 3, args=(TRAIN,)), lab.simulate(worker, 3, args=(TRAIN,))
    assert all(torch.equal(a, b) for a, b in zip(real.results, simulated.results, strict=True))
