"""Factors of random compute times: their distribution, and that they depend on nothing else."""

import math

import numpy as np
import pytest

from ddl_lab.cluster.jitter import KINDS, factor, uniform


def test_uniform_numbers_fill_the_open_interval_evenly():
    drawn = [uniform(0, rank, count) for rank in range(100) for count in range(100)]
    assert min(drawn) > 0 and max(drawn) < 1 and len(set(drawn)) == len(drawn)
    counts, _ = np.histogram(drawn, bins=20, range=(0, 1))
    assert ((counts - 500) ** 2 / 500).sum() < 43.8  # chi-squared, 19 degrees of freedom: one in a thousand


@pytest.mark.parametrize("step", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_neighbours_are_uncorrelated(step):
    ones = [(1, rank, count) for rank in range(60) for count in range(60)]
    here = [uniform(*place) for place in ones]
    there = [uniform(*(a + b for a, b in zip(place, step, strict=True))) for place in ones]
    assert abs(np.corrcoef(here, there)[0, 1]) < 0.06  # 3.6 standard deviations


def test_any_whole_number_is_a_seed():
    assert len({uniform(seed, 0, 0) for seed in (-1, 0, 1, 2**63, 2**64 - 2)}) == 5


def test_the_bits_are_these_on_every_machine():
    assert uniform(0, 0, 1) == 0.18436667429957676


def test_the_largest_of_n_exponential_times_is_the_harmonic_number():
    largest = [max(factor("exponential", 1.0, 0, rank, k) for rank in range(8)) for k in range(4000)]
    assert np.mean(largest) == pytest.approx(sum(1 / k for k in range(1, 9)), rel=0.03)  # 2.7179


def test_the_logarithm_of_a_lognormal_factor_is_normal():
    logs = np.array([math.log(factor("lognormal", 0.5, 0, 0, k)) for k in range(8000)])
    variance = math.log(1.25)
    assert logs.mean() == pytest.approx(-variance / 2, abs=0.02)
    assert logs.var() == pytest.approx(variance, rel=0.05)
    assert (logs < logs.mean() + logs.std()).mean() == pytest.approx(0.841, abs=0.015)


def test_all_factors_are_above_zero():
    for kind in KINDS:
        assert min(factor(kind, 2.0, 0, 0, k) for k in range(2000)) > 0
