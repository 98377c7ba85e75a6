"""The laws of scaling: what a fit finds is what made the numbers, and a ring's step is the third law."""

import math

import numpy as np
import pytest

import ddl_lab as lab
from ddl_lab.forecast import laws, steps

COUNTS = (2, 4, 8, 16)
LINK = lab.Cluster(latency_s=50e-6, bandwidth_bytes_per_s=1e9)


@pytest.mark.parametrize(("sigma", "kappa"), [(0.03, 6e-4), (0.5, 0.0), (0.0, 0.01), (2.4e-4, 1.5e-5)])
def test_a_fit_of_exact_speedups_finds_the_coefficients(sigma, kappa):
    found = laws.fit_usl(COUNTS, [laws.usl(n, sigma, kappa) for n in COUNTS])
    assert found == pytest.approx((sigma, kappa), rel=1e-6, abs=1e-12)


def test_each_law_is_found_by_its_own_fit():
    assert laws.fit_amdahl(COUNTS, [laws.amdahl(n, 0.1) for n in COUNTS]) == pytest.approx(0.1)
    assert laws.fit_gustafson(COUNTS, [laws.gustafson(n, 0.1) for n in COUNTS]) == pytest.approx(0.1)


def test_a_coefficient_below_zero_is_left_out_and_the_other_fitted_alone():
    faster = [laws.usl(n, 0.2, -1e-4) for n in COUNTS]
    assert laws.fit_usl(COUNTS, faster) == (laws.fit_amdahl(COUNTS, faster), 0.0)
    sigma, kappa = laws.fit_usl(COUNTS, [laws.usl(n, -1e-3, 1e-2) for n in COUNTS])
    assert sigma == 0 and 0 < kappa < 1e-2
    assert laws.fit_usl(COUNTS, [1.1 * n for n in COUNTS]) == (0.0, 0.0)


def test_the_laws_take_rows_of_counts_and_agree_where_they_must():
    n = np.array([1.0, 8.0, 64.0])
    assert np.allclose(laws.usl(n, 0.1, 0.0), laws.amdahl(n, 0.1))
    for law in (laws.amdahl(n, 0.3), laws.gustafson(n, 0.3), laws.usl(n, 0.3, 0.1)):
        assert law[0] == 1
    assert (laws.gustafson(n, 0.3) >= laws.amdahl(n, 0.3)).all()


def test_beyond_the_peak_more_nodes_are_slower():
    best = laws.peak(0.1, 1e-3)
    around = [laws.usl(best * factor, 0.1, 1e-3) for factor in (0.9, 1.0, 1.1)]
    assert max(around) == around[1]
    assert laws.peak(0.1, 0.0) == math.inf and laws.peak(1.5, 0.1) == laws.peak(0.99, 10.0) == 1


@pytest.mark.parametrize("nodes", [2, 16, 1024])
def test_a_step_with_a_ring_is_the_third_law(nodes):
    samples, nbytes = 65_536, 4 * 2**18  # parts of equal size on all these counts
    sigma, kappa = laws.of_ring(samples / LINK.speed(0), nbytes, 50e-6, 1e9)
    assert steps.strong(LINK, nodes, samples, nbytes) == pytest.approx(laws.usl(nodes, sigma, kappa))


@pytest.mark.parametrize(
    ("nodes", "speedups", "words"),
    [
        ([2, 4], [1.9], "equally long"),
        ([1, 2], [1.0, 1.9], "two counts of nodes above 1"),
        ([1, 1], [1.0, 1.0], "one above 1"),
        ([2, 4], [1.9, 0.0], "speed-ups above 0"),
        ([0, 4], [1.9, 2.0], "counts of nodes from 1 on"),
    ],
)
def test_what_can_t_be_fitted_is_an_error(nodes, speedups, words):
    with pytest.raises(ValueError, match=words):
        laws.fit_usl(nodes, speedups)
