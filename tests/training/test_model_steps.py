"""What is done with a flat model: its gradient, a step, its accuracy."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from ddl_lab.training.data import batches, load_digits
from ddl_lab.training.loss import bce_with_logits
from ddl_lab.training.model import accuracy, gradient, make_model, parameters, sgd_step

SIZE = 784 * 256 + 256 + 256 + 1


class Alone:
    rank, world_size = 0, 1


def leaves_of(model: nn.Module) -> torch.Tensor:
    """Return the parameters one after another, read leaf by leaf."""
    return torch.cat([leaf.detach().reshape(-1) for leaf in model.parameters()])


def batch(samples: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    train = load_digits().train
    return train.x[:samples], train.y[:samples]


def test_the_gradient_is_what_backward_gives_one_parameter_after_another():
    model, twin = make_model(0), make_model(0)
    x, y = batch()
    found = gradient(bce_with_logits(model(x), y), model)
    functional.binary_cross_entropy_with_logits(twin(x), y).backward()
    expected = torch.cat([leaf.grad.reshape(-1) for leaf in twin.parameters()])
    assert (found.shape, found.dtype, found.requires_grad) == ((SIZE,), torch.float32, False)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-7)
    assert all(leaf.grad is None for leaf in model.parameters())


def test_the_gradient_is_what_finite_differences_give():
    model = make_model(1, hidden=4)
    x, y = batch(8)
    found = gradient(bce_with_logits(model(x), y), model)
    flat = parameters(model).double()

    def loss_at(theta: torch.Tensor) -> float:
        names = [name for name, _ in model.named_parameters()]
        leaves = theta.split([leaf.numel() for leaf in model.parameters()])
        shaped = [p.view(q.shape) for p, q in zip(leaves, model.parameters(), strict=True)]
        logits = torch.func.functional_call(model, dict(zip(names, shaped, strict=True)), x.double())
        return bce_with_logits(logits, y.double()).item()

    for place in [400, 784 * 4 - 400, 784 * 4, 784 * 4 + 5, len(flat) - 1]:
        step = torch.zeros_like(flat)
        step[place] = 1e-6
        difference = (loss_at(flat + step) - loss_at(flat - step)) / 2e-6
        assert found[place].item() == pytest.approx(difference, rel=1e-4, abs=1e-7)


def test_each_gradient_has_memory_of_its_own():
    model = make_model(0)
    x, y = batch()
    first = gradient(bce_with_logits(model(x), y), model)
    kept = first.clone()
    gradient(bce_with_logits(model(x) * 3, y), model)
    assert torch.equal(first, kept)


def test_unused_and_frozen_parameters_get_zeros():
    model = make_model(0)
    model[0].bias.requires_grad_(False)
    x, y = batch()
    found = gradient(bce_with_logits(x @ model[0].weight[:1].T, y), model)
    assert found[: 256 * 784].abs().sum() > 0
    assert found[256 * 784 :].abs().sum() == 0


@pytest.mark.parametrize(
    ("loss_of", "error", "words"),
    [
        (lambda loss: loss.detach(), ValueError, "carries no graph"),
        (lambda loss: loss.item(), TypeError, "must be a tensor, got 0"),
        (lambda loss: loss * torch.ones(3), ValueError, r"scalar, got shape \(3,\): try loss.mean"),
        (lambda loss: torch.ones((), requires_grad=True) * 2, ValueError, "another model's"),
    ],
)
def test_a_loss_without_a_gradient_is_refused(loss_of, error, words):
    model = make_model(0)
    x, y = batch(2)
    with pytest.raises(error, match=words):
        gradient(loss_of(bce_with_logits(model(x), y)), model)


def test_a_step_is_theta_minus_lr_times_gradient_as_torch_takes_it():
    model, twin = make_model(0), make_model(0)
    x, y = batch()
    optimiser = torch.optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(3):
        sgd_step(model, gradient(bce_with_logits(model(x), y), model), lr=0.1)
        optimiser.zero_grad()
        functional.binary_cross_entropy_with_logits(twin(x), y).backward()
        optimiser.step()
    assert torch.allclose(leaves_of(model), leaves_of(twin), rtol=1e-5, atol=1e-7)
    assert not torch.equal(leaves_of(model), leaves_of(make_model(0)))


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (torch.zeros(3), ValueError, r"float32 \(201217,\) on cpu, got float32 \(3,\)"),
        (torch.zeros(SIZE, 1), ValueError, r"got float32 \(201217, 1\)"),
        (torch.zeros(SIZE).double(), ValueError, "got float64"),
        (0.5, TypeError, "must be a tensor, got 0.5"),
    ],
)
def test_a_gradient_that_does_not_fit_is_refused_and_nothing_changes(wrong, error, words):
    model = make_model(0)
    with pytest.raises(error, match=words):
        sgd_step(model, wrong, lr=0.1)
    assert torch.equal(parameters(model), parameters(make_model(0)))


@pytest.mark.parametrize(
    ("lr", "error", "words"),
    [
        (math.nan, ValueError, "lr must be a finite number such as 0.1, got nan"),
        (math.inf, ValueError, "lr must be a finite number such as 0.1, got inf"),
        ("a", TypeError, "lr must be a number such as 0.1, got 'a'"),
        (None, TypeError, "lr must be a number such as 0.1, got None"),
    ],
)
def test_a_learning_rate_that_is_no_finite_number_is_refused(lr, error, words):
    model = make_model(0)
    with pytest.raises(error, match=words):
        sgd_step(model, torch.zeros(SIZE), lr=lr)


def test_a_backward_pass_through_a_model_that_has_since_been_stepped_fails_as_in_torch():
    model = make_model(0)
    x, y = batch()
    loss = bce_with_logits(model(x), y)
    sgd_step(model, torch.ones(SIZE), lr=0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        gradient(loss, model)


def test_accuracy_is_the_share_of_samples_on_the_right_side():
    test = load_digits().test
    three = SimpleNamespace(x=torch.zeros(3, 784), y=torch.tensor([[0.0], [0.0], [1.0]]))
    model = make_model(0)
    parameters(model).zero_()
    assert accuracy(model, three) == pytest.approx(2 / 3)  # a logit of 0 says even
    model[2].bias.data.fill_(1.0)
    assert accuracy(model, three) == pytest.approx(1 / 3)

    class Cheat(nn.Module):
        def forward(self, x):
            wrong_in_the_first_250 = torch.where(torch.arange(len(x)) < 250, -1, 1)[:, None]
            return (test.y * 2 - 1) * wrong_in_the_first_250

    assert accuracy(Cheat(), test) == 0.75


def test_one_epoch_on_real_digits_gets_four_in_five_right():
    model, digits = make_model(0), load_digits()
    assert accuracy(model, digits.test) < 0.6
    for x, y in batches(digits.train, Alone(), batch_size=32):
        sgd_step(model, gradient(bce_with_logits(model(x), y), model), lr=0.1)
    assert accuracy(model, digits.test) > 0.8


def test_accuracy_of_ten_classes_is_the_share_of_largest_outputs_that_are_right():
    digits = load_digits(classes=10)

    class Cheat(torch.nn.Module):
        def forward(self, x):
            said = torch.where(torch.arange(len(x)) % 4 == 0, (digits.test.y + 1) % 10, digits.test.y)
            return torch.nn.functional.one_hot(said, 10).float() - 5

    assert accuracy(Cheat(), digits.test) == 0.75
    assert accuracy(Cheat(), digits.test) != accuracy(make_model(0, outputs=10), digits.test)


@pytest.mark.parametrize(("outputs", "classes"), [(1, 10), (10, 2)])
def test_outputs_that_do_not_fit_the_targets_are_refused(outputs, classes):
    with pytest.raises(ValueError, match=r"accuracy: the model's outputs have shape .* goes with"):
        accuracy(make_model(0, outputs=outputs), load_digits(classes=classes).test)
