"""Accounting: opacus's figures, at whole orders to the digit, and what more noise and fewer steps do."""

import math

import pytest

from ddl_lab.training.privacy import cost, epsilon

OPACUS = [  # rate, sigma, steps, delta; opacus 1.6.0 at orders 2 … 256, and with its own, broken ones too
    (0.05, 1.0, 300, 1e-4, 5.745213926296178, 5.585762260574511),
    (0.05, 2.0, 300, 1e-4, 1.8216264329652168, 1.8200634611619078),
    (0.05, 4.0, 300, 1e-4, 0.7695297440070997, 0.7695297440070997),
    (0.01, 1.1, 1000, 1e-5, 1.725290818044953, 1.7117700912203435),
    (0.05, 0.7, 300, 1e-4, 12.80513152950774, 12.452326615259297),
    (1.0, 5.0, 10, 1e-5, 2.814109167845533, 2.8136532471298397),
    (0.05, 1.0, 1, 1e-4, 1.2229753051610777, 1.2176595277333617),
]
COSTS = {2: 1.2859513111256782, 5: 5.576770622164411, 32: 3872.2893604479987}  # rate .05, sigma 1, 300 steps


@pytest.mark.parametrize(("rate", "sigma", "steps", "delta", "whole", "best"), OPACUS)
def test_epsilon_is_opacus_own_at_whole_orders_and_no_lower_than_its_best(
    rate, sigma, steps, delta, whole, best
):
    found = epsilon(rate, sigma, steps, delta)
    assert found == pytest.approx(whole, rel=1e-9)
    assert best * (1 - 1e-9) <= found <= 1.03 * best


@pytest.mark.parametrize("order", COSTS)
def test_a_steps_cost_is_opacus_own(order):
    assert 300 * cost(0.05, 1.0, order) == pytest.approx(COSTS[order], rel=1e-9)


def test_noise_and_rare_sampling_help_and_steps_cost():
    usual = epsilon(0.05, 1.0, 300)
    assert epsilon(0.05, 2.0, 300) < usual < epsilon(0.05, 1.0, 301)
    assert epsilon(0.04, 1.0, 300) < usual < epsilon(0.05, 1.0, 300, delta=1e-5)
    assert epsilon(0.05, 0.0, 1) == math.inf


@pytest.mark.parametrize(
    "numbers", [(0, 1, 10), (1.1, 1, 10), (0.1, -1, 10), (0.1, math.nan, 10), (0.1, 1, 0), (0.1, 1, 10, 1)]
)
def test_what_is_out_of_range_is_refused(numbers):
    with pytest.raises(ValueError, match="it takes"):
        epsilon(*numbers)
