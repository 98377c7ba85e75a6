"""Low rank: exact where the mean has that rank, its bytes, and a Q that stays or is drawn anew."""

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.low_rank import LowRank

ROWS, COLUMNS, REST = 12, 20, 5


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def of_rank(rank, node):
    """Every rank's matrix has the columns' space in common, so the mean's rank is no larger."""
    left, right = gaussian(ROWS, rank), gaussian(rank, COLUMNS, seed=1 + node.rank)
    return torch.cat([(left @ right).flatten(), gaussian(REST, seed=9 + node.rank)])


def exchanged(node, keep, rank, times=1):
    exchange = LowRank(keep, ROWS, COLUMNS)
    vector = of_rank(rank, node)
    for step in range(times):
        mean, sent = exchange(node, vector, step)
    whole = vector.clone()
    node.all_reduce(whole, op="mean")
    sent = sent.clone()
    node.all_reduce(sent, op="mean")
    return mean, whole, sent


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_it_is_exact_where_the_mean_has_no_larger_rank(nodes):
    mean, whole, sent = lab.simulate(exchanged, nodes, args=(2, 2)).results[0]
    assert torch.allclose(mean, whole, atol=1e-5) and torch.allclose(sent, whole, atol=1e-5)
    mean, whole, sent = lab.simulate(exchanged, nodes, args=(2, 6)).results[0]
    assert (mean - whole).norm() > 0.1 * whole.norm()
    assert torch.allclose(mean, sent, atol=1e-5)  # what ranks have sent adds up, exact or not
    assert torch.equal(mean[-REST:], whole[-REST:])


def error(history):
    mean, whole, _ = history.results[0]
    return ((mean - whole).norm() / whole.norm()).item()


def test_a_q_that_stays_comes_nearer_on_the_same_matrix():
    first, later = (error(lab.simulate(exchanged, 2, args=(2, 6, times))) for times in (1, 12))
    assert later < first


def test_a_q_that_is_drawn_anew_stays_out_of_the_next_step():
    vector = gaussian(ROWS * COLUMNS)

    def thrice(node, warm):
        exchange = LowRank(2, ROWS, COLUMNS, warm)
        return [exchange(node, vector, step)[0] for step in (0, 1, 0)]

    for warm in (False, True):
        first, _, again = lab.simulate(thrice, 1, args=(warm,)).results[0]
        assert torch.equal(first, again) != warm


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_bytes_are_two_thin_matrices_and_the_rest(nodes):
    history = lab.simulate(lambda node: LowRank(3, ROWS, COLUMNS)(node, of_rank(6, node))[0], nodes)
    assert sum(history.bytes_sent) == 2 * (nodes - 1) * 4 * (3 * (ROWS + COLUMNS) + REST)
    assert history.messages_sent == [2 * 2 * (nodes - 1)] * nodes


@pytest.mark.parametrize("rank", [0, 13])
def test_a_rank_that_the_matrix_has_not_is_refused(rank):
    with pytest.raises(ValueError, match=rf"rank={rank}: a 12 x 20 matrix has from 1 to 12"):
        LowRank(rank, ROWS, COLUMNS)
