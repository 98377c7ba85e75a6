"""Lab 01: what it says of the accident is what happens in it."""

import math
from types import SimpleNamespace

import pytest
import torch
from reading import defined

import ddl_lab as lab

CELLS = (
    *("s01-setup", "s01-underflow", "s01-log-likelihood", "s01-bce-by-hand"),
    *("s01-lost", "s01-stable", "s01-accident"),
)


@pytest.fixture(scope="module")
def told():
    threads = torch.get_num_threads()
    nobody = SimpleNamespace(then=lambda show: None)  # a prediction that was never written
    names = defined("01", *CELLS, falls=nobody)
    torch.set_num_threads(threads)
    return names


def right(names, run):
    return lab.accuracy(run[2], names["digits"].test)


def test_without_the_slip_all_three_ways_end_alike(told):
    losses = [run[0] for run in told["calm"].values()]
    for ways in zip(*losses, strict=True):
        assert ways == pytest.approx([ways[0]] * 3, abs=1e-3)
    assert min(right(told, run) for run in told["calm"].values()) > 0.8


def test_after_the_slip_odd_digits_underflow_to_0_and_none_saturates_at_1(told):
    losses, logits, _ = told["runs"]["torch's BCELoss"]
    p = torch.sigmoid(logits[2:])
    assert (p == 0).double().mean() > 0.95 and not (p == 1).any()
    assert 45 < sum(losses[2:]) / 198 < 55, "half of the digits at the clamp of 100"


def test_the_naive_run_is_nan_from_the_third_step_on_and_the_stable_one_comes_back(told):
    naive, stable = (told["runs"][name][0] for name in ("naive", "stable"))
    assert [math.isnan(loss) for loss in naive] == [False] * 2 + [True] * 198
    assert max(stable) > 100 > 1 > stable[-1] and right(told, told["runs"]["stable"]) > 0.8


def test_the_sigmoid_underflows_just_below_minus_88_7():
    at, below = torch.sigmoid(torch.tensor([-88.7, -88.8])).tolist()
    assert below == 0 < at


def test_a_sure_right_answer_keeps_no_relative_exactness_in_the_stable_loss(told):
    (loss,), _ = told["loss_and_slope"](told["stable"], [20.0], 1.0)
    assert abs(loss.item() - 2.06e-9) <= 20 * torch.finfo(torch.float32).eps
    assert loss.item() != pytest.approx(2.06e-9, rel=0.1)
