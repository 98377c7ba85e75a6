"""Robust rules: what each stands and what it doesn't; the worker, in both engines, and its bytes."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.robust import aggregated, honest, krum, mean, median, trimmed_mean

SHARES = lab.share_out(lab.load_digits().train, 3)
HONEST = torch.randn(9, 200, generator=torch.Generator().manual_seed(0)) * 0.1 + 1.0
RULES = {
    "mean": mean,
    "median": median,
    "trimmed": partial(trimmed_mean, liars=3),
    "krum": partial(krum, liars=3),
}


def lying(liars, what):
    return torch.cat([torch.full((liars, 200), what), HONEST[liars:]])


@pytest.mark.parametrize("name", RULES)
def test_all_rules_agree_on_equal_vectors(name):
    assert torch.equal(RULES[name](torch.ones(9, 5)), torch.ones(5))


@pytest.mark.parametrize("what", [-1000.0, 1000.0])
@pytest.mark.parametrize("name", ["median", "trimmed", "krum"])
def test_three_liars_of_nine_are_stood_by_all_rules_but_the_mean(name, what):
    assert (RULES[name](lying(3, what)) - 1).abs().max() < 0.5
    assert (mean(lying(3, what)) - 1).abs().min() > 100


@pytest.mark.parametrize(
    ("name", "stands"), [("mean", False), ("median", False), ("trimmed", True), ("krum", True)]
)
def test_a_nan_is_stood_by_those_that_leave_it_out(name, stands):
    assert RULES[name](lying(1, torch.nan)).isfinite().all() == stands


def test_too_many_liars_break_the_trimmed_mean():
    assert (partial(trimmed_mean, liars=2)(lying(3, 1000.0)) - 1).abs().min() > 100


def test_krum_gives_one_of_the_vectors_and_the_trimmed_mean_lies_between_them():
    assert any(torch.equal(krum(HONEST), row) for row in HONEST)
    kept = HONEST.sort(dim=0).values[2:-2]
    assert torch.allclose(trimmed_mean(HONEST, 2), kept.mean(dim=0))


@pytest.mark.parametrize(("rule", "liars"), [(trimmed_mean, 5), (krum, 4), (krum, -1), (trimmed_mean, -1)])
def test_more_liars_than_a_rule_stands_are_refused(rule, liars):
    with pytest.raises(ValueError, match=f"liars={liars} of 9 vectors"):
        rule(HONEST, liars)


def _doubles(rank, step, gradient):
    return 2 * gradient if rank == 1 else gradient


def test_every_engine_gives_the_same_bits_and_all_vectors_travel():
    told = (SHARES, median, _doubles, 4)
    run, simulated = (engine(aggregated, 3, args=told) for engine in (lab.run, lab.simulate))
    assert all(torch.equal(a, b) for a, b in zip(run.results, simulated.results, strict=True))
    assert simulated.bytes_sent == [4 * 2 * 4 * 201_217] * 3
    without = lab.simulate(aggregated, 3, args=(SHARES, median, honest, 4))
    assert not torch.equal(simulated.results[0], without.results[0])


def test_each_rank_trains_on_its_own_share():
    def first_loss(shares):
        history = lab.simulate(aggregated, 2, args=(shares, mean, honest, 1))
        return history.metrics.sort_values("rank").loss.tolist()

    assert first_loss([SHARES[0], SHARES[1]]) == first_loss([SHARES[1], SHARES[0]])[::-1]
    assert len(set(first_loss([SHARES[0], SHARES[1]]))) == 2
