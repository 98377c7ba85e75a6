"""Sharding: every sample once an epoch, equally many batches on every rank."""

from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import pytest
import torch

from ddl_lab.training.data import load_digits
from ddl_lab.training.shards import batches, endless, poisson_batches


@dataclass
class Rank:
    rank: int
    world_size: int


@dataclass
class Numbered:
    """n samples, each its own number."""

    x: torch.Tensor
    y: torch.Tensor


def numbered(n: int) -> Numbered:
    return Numbered(torch.arange(n)[:, None], torch.arange(n)[:, None] * 10)


def epoch_of(n: int, world_size: int, batch_size: int, **kwargs) -> list[list[list[int]]]:
    """Return the sample numbers of each batch of each rank."""
    return [
        [x[:, 0].tolist() for x, _ in batches(numbered(n), Rank(rank, world_size), batch_size, **kwargs)]
        for rank in range(world_size)
    ]


# 4,000 over 62 nodes at 64: rank by rank in turn, some would get one batch and some two
CASES = [
    (4000, 62, 64), (4000, 1, 64), (4000, 4, 64), (4000, 3, 7), (1000, 7, 33), (4000, 256, 8),
    (10, 10, 5), (11, 10, 5), (5, 4, 2), (9, 4, 2), (7, 1, 100), (1, 1, 1), (4000, 2, 1),
    (4000, 3, 1), (5, 4, 1), (4000, 1024, 1),
]  # fmt: skip


@pytest.mark.parametrize(("n", "world_size", "batch_size"), CASES)
def test_every_sample_comes_once_and_every_rank_gets_equally_many_batches(n, world_size, batch_size):
    ranks = epoch_of(n, world_size, batch_size)
    assert sorted(i for batch_list in ranks for batch in batch_list for i in batch) == [*range(n)]
    assert len({len(batch_list) for batch_list in ranks}) == 1
    sizes = {len(batch) for batch_list in ranks for batch in batch_list}
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    comes_out_even = batch_size > 1 or n % world_size == 0
    assert max(sizes) <= (batch_size if comes_out_even else 2)


@pytest.mark.parametrize(("n", "world_size", "batch_size"), [c for c in CASES if c[2] > 1])
def test_the_number_of_steps_is_the_least_that_batch_size_allows(n, world_size, batch_size):
    steps = len(epoch_of(n, world_size, batch_size)[0])
    assert steps == -(-n // (world_size * batch_size))


def numbers(ranks: list[list[list[int]]]) -> list[int]:
    """All sample numbers of all batches."""
    return [i for batch_list in ranks for batch in batch_list for i in batch]


@pytest.mark.parametrize(("n", "world_size", "batch_size"), CASES)
def test_after_a_break_the_same_nodes_go_on_to_the_sample(n, world_size, batch_size):
    whole = epoch_of(n, world_size, batch_size, epoch=3)
    steps = len(whole[0])
    for step in {0, 1, steps // 3, steps - 1, steps}:
        seen = sum(len(batch) for batch_list in whole for batch in batch_list[:step])
        rest = epoch_of(n, world_size, batch_size, epoch=3, first=seen)
        assert rest == [batch_list[step:] for batch_list in whole]


@pytest.mark.parametrize("then", [1, 3, 4, 7])
@pytest.mark.parametrize("stop", [1, 5, 11])
def test_after_a_break_other_nodes_take_what_is_left_once(then, stop):
    before = [batch_list[:stop] for batch_list in epoch_of(4000, 8, 25)]
    seen = len(numbers(before))
    after = epoch_of(4000, then, 25, first=seen)
    assert sorted(numbers(before) + numbers(after)) == list(range(4000))
    assert len({len(batch_list) for batch_list in after}) == 1
    assert max(len(batch) for batch_list in after for batch in batch_list) <= 25


def test_too_little_left_for_more_nodes_is_said():
    with pytest.raises(ValueError, match=r"3 samples can't be shared out over 4 nodes.*: use at most 3"):
        epoch_of(10, 4, 2, first=7)


def test_no_node_is_one_node_that_reads_all():
    alone = [x[:, 0].tolist() for x, _ in batches(numbered(20), None, 6)]
    assert [alone] == epoch_of(20, 1, 6)


def poisson(n, world_size, *args, **kwargs):
    """The sample numbers of each batch of each rank."""
    return [
        [x[:, 0].tolist() for x, _ in poisson_batches(numbered(n), Rank(rank, world_size), *args, **kwargs)]
        for rank in range(world_size)
    ]


def test_a_poisson_batch_is_the_same_whatever_the_number_of_nodes():
    (alone,) = poisson(1000, 1, 0.1, 5)
    for world_size in (2, 3, 8):
        ranks = poisson(1000, world_size, 0.1, 5)
        for step, batch in enumerate(alone):
            assert sorted(i for rank in ranks for i in rank[step]) == batch
            sizes = [len(rank[step]) for rank in ranks]
            assert max(sizes) - min(sizes) <= 1
    assert alone == poisson(1000, 1, 0.1, 7)[0][:5] != poisson(1000, 1, 0.1, 5, seed=1)[0]


def test_each_sample_joins_each_poisson_batch_by_itself():
    (found,) = poisson(500, 1, 0.2, 400)
    sizes = np.array([len(batch) for batch in found])
    assert sizes.mean() == pytest.approx(100, rel=0.02)
    assert sizes.var() == pytest.approx(500 * 0.2 * 0.8, rel=0.2)
    joined = np.bincount(np.concatenate(found), minlength=500)
    assert joined.mean() == pytest.approx(80, rel=0.02)
    assert joined.var() == pytest.approx(400 * 0.2 * 0.8, rel=0.2)


def test_a_poisson_batch_may_be_empty_and_keeps_its_shape():
    empty = next(x for x, _ in poisson_batches(numbered(3), None, 0.01, 50) if not len(x))
    assert empty.shape == (0, 1)


@pytest.mark.parametrize("rate", [0, -0.1, 1.5, None])
def test_a_rate_is_a_probability(rate):
    with pytest.raises(ValueError, match=r"^rate="):
        poisson_batches(numbered(3), None, rate, 5)
    with pytest.raises(ValueError, match="poisson_batches: steps must be from 0"):
        poisson_batches(numbered(3), None, 0.5, -1)


def test_a_step_of_all_ranks_is_one_piece_of_the_order_that_one_node_reads():
    n, batch_size = 4000, 64
    (alone,) = epoch_of(n, 1, n)
    order = alone[0]
    ranks = epoch_of(n, 62, batch_size)
    together = [i for step in zip(*ranks, strict=True) for batch in step for i in batch]
    assert together == order


def test_targets_stay_with_their_inputs():
    for x, y in batches(numbered(100), Rank(1, 3), 8):
        assert torch.equal(y, x * 10)


@pytest.mark.parametrize("change", [{"epoch": 1}, {"seed": 1}, {"seed": 1, "epoch": 1}])
def test_epoch_and_seed_reshuffle(change):
    assert epoch_of(1000, 1, 100) == epoch_of(1000, 1, 100)
    assert epoch_of(1000, 1, 100) != epoch_of(1000, 1, 100, **change)


def test_seed_and_epoch_do_not_stand_for_one_another():
    assert epoch_of(1000, 1, 100, seed=1, epoch=0) != epoch_of(1000, 1, 100, seed=0, epoch=1)


def test_the_order_is_the_same_on_every_machine_and_never_changes():
    assert epoch_of(10, 1, 10) == [[[3, 7, 6, 4, 1, 0, 2, 8, 5, 9]]]


def test_the_global_random_states_play_no_part():
    np.random.seed(1)
    torch.manual_seed(1)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    first = epoch_of(100, 2, 10)
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
    np.random.seed(2)
    torch.manual_seed(2)
    assert epoch_of(100, 2, 10) == first


def test_batches_of_digits_are_plain_tensors_of_their_own():
    train = load_digits().train
    x, y = next(batches(train, Rank(0, 4), batch_size=64))
    assert (type(x), x.shape, x.dtype) == (torch.Tensor, (62, 784), torch.float32)
    assert (type(y), y.shape, y.dtype) == (torch.Tensor, (62, 1), torch.float32)
    x.zero_()
    y.zero_()
    again, _ = next(batches(train, Rank(0, 4), batch_size=64))
    assert again.sum() > 0


BAD = [
    ({"batch_size": 0}, ValueError, "batch_size must be from 1 to .*, got 0"),
    ({"batch_size": -3}, ValueError, "got -3"),
    ({"batch_size": 2.5}, TypeError, "batch_size must be a whole number, got 2.5"),
    ({"batch_size": "64"}, TypeError, "got '64'"),
    ({"batch_size": True}, TypeError, "got True"),
    ({"first": 11}, ValueError, "first must be from 0 to the 10 samples of an epoch, got 11"),
    ({"first": -1}, ValueError, "first must be from 0"),
    ({"epoch": -1}, ValueError, "epoch must be from 0 to .*, got -1"),
    ({"seed": 2**32}, ValueError, "seed must be from 0"),
    ({"seed": None}, TypeError, "seed must be a whole number, got None"),
    ({"node": Rank(0, 11)}, ValueError, "10 samples .* over 11 nodes.*: use at most 10"),
    ({"node": 3}, TypeError, "the second argument is the node.*got 3"),
    ({"node": Rank(4, 4)}, TypeError, "rank in 0..world_size - 1"),
    ({"data": load_digits()}, TypeError, r"tensors x and y.*digits\.train"),
    ({"data": [1, 2]}, TypeError, r"got \[1, 2\]"),
    ({"data": Numbered(torch.zeros(3), torch.zeros(2))}, ValueError, "3 samples and y has 2"),
    ({"data": Numbered(torch.zeros(()), torch.zeros(()))}, TypeError, "one row a sample"),
    ({"data": Numbered(torch.zeros(0), torch.zeros(0))}, ValueError, "0 samples"),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD)
def test_bad_arguments_are_refused_at_the_call(change, error, words):
    arguments = {"data": numbered(10), "node": Rank(0, 2), "batch_size": 2, **change}
    with pytest.raises(error, match=words):
        batches(**arguments)


def test_endless_batches_are_those_of_one_epoch_after_another():
    found = [x[:, 0].tolist() for x, _ in islice(endless(numbered(1003), Rank(0, 1), 50), 45)]
    epochs = [epoch_of(1003, 1, 50, epoch=epoch)[0] for epoch in range(3)]
    assert found == list(islice(chain(*epochs), 45))


def test_endless_batches_are_refused_at_the_call():
    with pytest.raises(ValueError, match="batch_size must be from 1"):
        endless(numbered(5), None, 0)
