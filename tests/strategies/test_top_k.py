"""Sparse exchanges: whose entries are in the mean, their bytes, and shares that aren't any."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.top_k import random_k, top_k


def exchanged(node, exchange, count=1000):
    vector = torch.randn(count, generator=torch.Generator().manual_seed(node.rank))
    mean, sent = exchange(node, vector, 3)
    return vector, mean, sent


def results(exchange, nodes=4, **options):
    return lab.simulate(exchanged, nodes, args=(partial(exchange, **options),)).results


def test_each_sends_its_own_largest_entries_and_the_mean_is_of_what_was_sent():
    found = results(top_k, share=0.05)
    for vector, mean, sent in found:
        assert (sent != 0).sum() == 50
        assert vector[sent == 0].abs().max() <= sent[sent != 0].abs().min()
        assert torch.equal(sent[sent != 0], vector[sent != 0])
        assert torch.allclose(mean, sum(s for _, _, s in found) / 4)


def test_random_places_are_the_same_on_all_ranks_and_others_the_next_step():
    places = [(sent != 0).nonzero().flatten().tolist() for _, _, sent in results(random_k, share=0.05)]
    assert len(places[0]) == 50 and all(row == places[0] for row in places)
    other = lab.simulate(lambda node: random_k(node, torch.ones(1000), 4, 0.05)[1].nonzero(), 1).results[0]
    assert other.flatten().tolist() != places[0]


def test_scaled_random_entries_are_right_on_average():
    vector = torch.randn(50, generator=torch.Generator().manual_seed(0))

    def many(node):
        return sum(random_k(node, vector, step, 0.2, scaled=True)[0] for step in range(4000)) / 4000

    (mean,) = lab.simulate(many, 1).results
    assert (mean - vector).norm() < 0.06 * vector.norm()  # sqrt(4 / 4000) is 0.03
    (plain,) = lab.simulate(lambda node: random_k(node, vector, 0, 0.2)[0], 1).results
    assert torch.equal(plain[plain != 0], vector[plain != 0])


@pytest.mark.parametrize("nodes", [1, 2, 4, 5])
def test_bytes_follow_the_laws(nodes):
    gathered = lab.simulate(exchanged, nodes, args=(partial(top_k, share=0.04),))
    assert gathered.bytes_sent == [(nodes - 1) * 8 * 40] * nodes
    reduced = lab.simulate(exchanged, nodes, args=(partial(random_k, share=0.04),))
    assert sum(reduced.bytes_sent) == 2 * (nodes - 1) * 4 * 40


def test_one_entry_goes_at_least():
    assert [(sent != 0).sum() for _, _, sent in results(top_k, 2, share=1e-6)] == [1, 1]


@pytest.mark.parametrize("share", [0, -0.1, 1.5])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(lab.WorkerError, match=r"it takes a number above 0, and 1 at most"):
        results(top_k, share=share)
