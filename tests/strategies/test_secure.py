"""Secure sums: exact whatever the masks, unreadable one by one, and whole again when clients are lost."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.secure import SCALE, agree, masked, secure_sum

RUN = partial(lab.run, progress=False, timeout_s=60)
ENGINES = {
    "simulate": lab.simulate,
    "shm": partial(RUN, transport="shm"),
    "gloo": partial(RUN, transport="gloo"),
}


def vector_of(rank, count=500):
    return torch.randn(count, generator=torch.Generator().manual_seed(rank)) * 10


def worker(node, lost=(), **options):
    return secure_sum(node, vector_of(node.rank), lost, **options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("nodes", "lost"), [(3, []), (4, [2]), (5, [1, 4]), (5, [])])
def test_the_sum_is_that_of_whole_numbers_without_masks(engine, nodes, lost):
    history = ENGINES[engine](worker, nodes, args=(lost,))
    exact = sum((vector_of(rank) * SCALE).round() for rank in range(1, nodes) if rank not in lost) / SCALE
    assert torch.equal(history.results[0], exact)
    assert history.results[1:] == [None] * (nodes - 1)


def test_other_seeds_give_the_same_sum():
    sums = [lab.simulate(partial(worker, seed=seed), 4).results[0] for seed in (0, 1, 2)]
    assert torch.equal(sums[0], sums[1]) and torch.equal(sums[0], sums[2])


def sent(node):
    """What each client would send, of a vector of zeros."""
    return masked(torch.zeros(20_000), node.rank, agree(node, 0)) if node.rank else None


def test_what_a_client_sends_says_nothing_and_only_all_of_them_cancel():
    messages = lab.simulate(sent, 5).results[1:]
    for message in messages:
        quarters = message.double().mul(2.0**-32).add(0.5).histc(4, 0, 1) / len(message)
        assert (quarters - 0.25).abs().max() < 0.02  # every size of number is as frequent
    for one in range(4):
        assert (sum(m for k, m in enumerate(messages) if k != one) != 0).double().mean() > 0.99
    assert not sum(messages).any()


def test_masks_cost_no_more_bytes_than_float32_but_for_the_seeds():
    bytes_sent = lab.simulate(worker, 5).bytes_sent
    assert bytes_sent == [0] + [4 * 500 + 8 * (4 - rank) for rank in range(1, 5)]
    lost = lab.simulate(worker, 5, args=([3],)).bytes_sent
    assert lost == [0, 2000 + 24 + 8, 2000 + 16 + 8, 8, 2000 + 8]


@pytest.mark.parametrize(("nodes", "lost"), [(1, []), (2, []), (4, [1, 3])])
def test_a_sum_of_one_is_refused(nodes, lost):
    with pytest.raises(lab.WorkerError, match="a sum hides nothing below two"):
        lab.simulate(worker, nodes, args=(lost,))


@pytest.mark.parametrize("number", [40_000.0, float("nan"), float("-inf")])
def test_numbers_out_of_range_are_refused(number):
    with pytest.raises(ValueError, match="clip or scale the vector first"):
        masked(torch.tensor([number]), 1, {})
