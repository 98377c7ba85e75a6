"""Lab 02: what it says of arithmetic, and of slopes beside nan, is what is there."""

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.exercises import lab_02 as exercise


@pytest.fixture(scope="module")
def told():
    threads = torch.get_num_threads()
    names = defined("02", "s02-setup", "s02-chain", slope=exercise.slope.reference)
    names |= defined("02", "s02-chain-count", "s02-article-slope", autograd=_autograd(names), **names)
    torch.set_num_threads(threads)
    return names


def _autograd(names):
    return lab.gradient(lab.bce_with_logits(names["model"](names["x"]), names["y"]), names["model"])


def test_backward_takes_as_many_operations_as_forward_and_twice_with_the_pixels(told):
    assert told["back"] / told["forward"] == pytest.approx(1, abs=0.005)
    assert (told["back"] + told["for_pixels"]) / told["forward"] == pytest.approx(2, abs=0.005)


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("z", [17.0, 20.0, -110.0])
def test_beside_each_nan_stands_the_true_slope_to_half_an_epsilon(z, label, told):
    z, y = torch.full((1, 1), z), torch.full((1, 1), label)
    assert told["article_slope"](z, y).isnan().all()
    apart = (told["slope"](z, y).double() - (torch.sigmoid(z.double()) - y)).abs()
    assert apart.item() <= torch.finfo(torch.float32).eps / 2
