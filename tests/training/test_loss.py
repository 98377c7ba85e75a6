"""The loss against its definition, torch's own, and finite differences."""

import math

import pytest
import torch
from torch.nn import functional

from ddl_lab.training.loss import bce_with_logits, cross_entropy


def slope(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return d loss / d logits by autograd."""
    logits = logits.clone().requires_grad_()
    (slope,) = torch.autograd.grad(bce_with_logits(logits, targets), logits)
    return slope


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(64, 1, generator=generator, dtype=torch.float64)
    return logits, torch.randint(0, 2, (64, 1), generator=generator).double()


def test_it_is_the_mean_of_minus_log_likelihoods_in_nats(batch):
    logits, targets = batch
    p = torch.sigmoid(logits)
    by_definition = -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()
    assert bce_with_logits(logits, targets).item() == pytest.approx(by_definition.item(), 1e-12)
    zeros = torch.zeros(3, 1)
    assert bce_with_logits(zeros, zeros).item() == pytest.approx(math.log(2), 1e-6)


def test_it_is_the_form_with_maximum_and_log1p(batch):
    z, y = batch
    in_the_open = (z.clamp(min=0) - z * y + torch.log1p(torch.exp(-z.abs()))).mean()
    assert bce_with_logits(z, y).item() == pytest.approx(in_the_open.item(), 1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_torch(batch, dtype):
    logits, targets = (tensor.to(dtype) for tensor in batch)
    theirs = logits.clone().requires_grad_()
    loss = functional.binary_cross_entropy_with_logits(theirs, targets)
    loss.backward()
    tolerance = 4 * torch.finfo(dtype).eps
    assert bce_with_logits(logits, targets).item() == pytest.approx(loss.item(), tolerance)
    assert torch.allclose(slope(logits, targets), theirs.grad, rtol=1e-5, atol=tolerance)


def test_gradients_are_those_of_finite_differences(batch):
    logits, targets = batch
    inputs = (logits.clone().requires_grad_(), targets)
    assert torch.autograd.gradcheck(bce_with_logits, inputs)


@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
def test_the_gradient_at_zero_is_exactly_one_half_minus_the_target(target):
    assert slope(torch.zeros(1, 1), torch.full((1, 1), target)).item() == 0.5 - target


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("logit", [1e2, 1e4, 1e30])
def test_large_logits_neither_overflow_nor_lose_their_gradient(logit, dtype):
    logits = torch.tensor([[logit], [-logit]], dtype=dtype)
    wrong, right = logits.new_tensor([[0.0], [1.0]]), logits.new_tensor([[1.0], [0.0]])
    assert bce_with_logits(logits, wrong).item() == pytest.approx(logit)
    assert slope(logits, wrong).flatten().tolist() == pytest.approx([0.5, -0.5])
    assert bce_with_logits(logits, right).item() == pytest.approx(0.0, abs=1e-40)
    assert slope(logits, right).flatten().tolist() == pytest.approx([0.0, 0.0], abs=1e-40)


def test_a_sure_and_right_answer_keeps_its_tiny_loss():
    loss = bce_with_logits(torch.tensor([[-20.0]]), torch.tensor([[0.0]]))
    assert loss.item() == pytest.approx(math.exp(-20), 1e-5)


@pytest.mark.parametrize("shape", [(64,), (1, 64), (64, 2), ()])
def test_other_shapes_are_refused_and_both_are_named(shape):
    with pytest.raises(ValueError, match="reshape") as caught:
        bce_with_logits(torch.zeros(64, 1), torch.zeros(shape))
    assert "(64, 1)" in str(caught.value)
    assert str(shape) in str(caught.value)


def test_the_cross_entropy_of_classes_is_torch_s_and_its_slope_is_softmax_less_the_label():
    generator = torch.Generator().manual_seed(0)
    logits = (30 * torch.randn(64, 10, generator=generator, dtype=torch.float64)).requires_grad_()
    labels = torch.randint(0, 10, (64,), generator=generator)
    loss = cross_entropy(logits, labels)
    assert loss.item() == pytest.approx(functional.cross_entropy(logits, labels).item(), 1e-12)
    (found,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(found, (logits.softmax(1) - functional.one_hot(labels, 10)).detach() / 64)


def test_of_two_classes_one_logit_is_the_difference_of_two():
    z, y = torch.tensor([[-3.0], [0.5], [200.0]]), torch.tensor([1, 0, 0])
    two = torch.cat([torch.zeros_like(z), z], 1)
    torch.testing.assert_close(cross_entropy(two, y), bce_with_logits(z, y[:, None].float()))


@pytest.mark.parametrize(
    ("logits", "labels", "told"),
    [
        ((4, 1), torch.zeros(4).long(), r"logits have shape \(4, 1\) and labels \(4,\)"),
        ((4, 10), torch.zeros(4, 1), r"labels \(4, 1\), expected"),
        ((4, 10), torch.zeros(3).long(), r"labels \(3,\)"),
        ((4, 10), torch.zeros(4), r"labels are torch.float32, expected torch.int64"),
    ],
)
def test_classes_that_do_not_fit_are_refused(logits, labels, told):
    with pytest.raises(ValueError, match=told):
        cross_entropy(torch.zeros(logits), labels)
