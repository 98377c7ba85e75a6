"""The network, and the tie between a model's parameters and one flat tensor."""

import copy
import io
import math
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

from ddl_lab.data import batches, load_digits
from ddl_lab.loss import bce_with_logits
from ddl_lab.model import accuracy, gradient, make_model, parameters, sgd_step

SIZE = 784 * 256 + 256 + 256 + 1


class Alone:
    rank, world_size = 0, 1


def leaves_of(model: nn.Module) -> torch.Tensor:
    """Return the parameters one after another, read leaf by leaf."""
    return torch.cat([leaf.detach().reshape(-1) for leaf in model.parameters()])


def batch(samples: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    train = load_digits().train
    return train.x[:samples], train.y[:samples]


def assert_tied(model: nn.Module) -> None:
    """Writing to the flat tensor must reach every parameter, in order."""
    flat = parameters(model)
    flat.copy_(torch.arange(len(flat)))
    assert leaves_of(model).tolist() == list(range(len(flat)))


def test_the_network_is_784_256_relu_1():
    model = make_model(0)
    assert [tuple(leaf.shape) for leaf in model.parameters()] == [
        (256, 784), (256,), (1, 256), (1,),
    ]  # fmt: skip
    assert isinstance(model[1], nn.ReLU)
    assert model(batch()[0]).shape == (64, 1)
    assert parameters(model).shape == (SIZE,)
    assert parameters(make_model(0, hidden=16)).shape == (784 * 16 + 16 + 16 + 1,)


def test_a_seed_draws_what_torch_itself_draws_with_that_seed():
    torch.manual_seed(7)
    theirs = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 1))
    assert torch.allclose(leaves_of(make_model(7)), leaves_of(theirs), rtol=0, atol=1e-8)


def test_equal_seeds_give_equal_models_and_others_give_others():
    assert torch.equal(parameters(make_model(3)), parameters(make_model(3)))
    assert not torch.equal(parameters(make_model(3)), parameters(make_model(4)))


def test_making_a_model_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    make_model(0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"seed": -1}, ValueError, "seed must be from 0 .* got -1"),
        ({"seed": 1.5}, TypeError, "seed must be a whole number, got 1.5"),
        ({"seed": "a"}, TypeError, "got 'a'"),
        ({"seed": 0, "hidden": 0}, ValueError, "hidden must be from 1 .* got 0"),
    ],
)
def test_bad_arguments_of_make_model_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        make_model(**arguments)


def test_parameters_are_flat_float32_outside_autograd_and_shared_both_ways():
    model = make_model(0)
    flat = parameters(model)
    assert (flat.dtype, flat.requires_grad, flat.is_contiguous()) == (torch.float32, False, True)
    assert torch.equal(flat, leaves_of(model))
    with torch.no_grad():
        model[2].bias.fill_(5.0)
    assert flat[-1] == 5.0
    assert_tied(model)


def test_asking_twice_gives_the_same_tensor():
    model = make_model(0)
    assert parameters(model) is parameters(model)


def test_any_module_is_tied_when_first_asked_and_keeps_its_values():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    before, leaves = leaves_of(model), list(model.parameters())
    assert torch.equal(parameters(model), before)
    assert all(a is b for a, b in zip(leaves, model.parameters(), strict=True))
    assert_tied(model)


def test_a_parameter_used_twice_comes_once():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert parameters(model).shape == (9 + 3 + 3,)
    assert_tied(model)


def replace_a_layer(model):
    model[2] = nn.Linear(256, 1)
    return model


def through_torch_save(model):
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


CUTS = {
    "to float64 and back": lambda model: model.double().float(),
    "load_state_dict": lambda model: model.load_state_dict(make_model(9).state_dict()) and model,
    "load_state_dict, assign": lambda model: (
        model.load_state_dict(make_model(9).state_dict(), assign=True) and model
    ),
    "a replaced layer": replace_a_layer,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "torch.save and load": through_torch_save,
    "requires_grad_": lambda model: model.requires_grad_(False),
    "inside another model": lambda model: nn.Sequential(nn.Identity(), model),
}


@pytest.mark.parametrize("change", CUTS.values(), ids=CUTS.keys())
def test_the_tie_holds_or_is_made_anew_with_the_values_of_now(change):
    model = change(make_model(0))
    expected = leaves_of(model)
    assert torch.equal(parameters(model), expected)
    assert_tied(model)


def test_a_copy_and_its_original_do_not_share_memory():
    model = make_model(0)
    twin = copy.deepcopy(model)
    parameters(twin).zero_()
    assert parameters(model).abs().sum() > 0


@pytest.mark.parametrize("model", [make_model(0).double(), make_model(0).half(), nn.ReLU()])
def test_parameters_of_another_type_or_none_are_refused(model):
    with pytest.raises(ValueError, match=r"must all be float32 on one device, found .*float\(\)"):
        parameters(model)


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


@pytest.mark.parametrize("lr", [math.nan, math.inf])
def test_a_learning_rate_that_is_no_finite_number_is_refused(lr):
    model = make_model(0)
    with pytest.raises(ValueError, match="lr must be a finite number"):
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
    model = make_model(0)
    parameters(model).zero_()
    assert accuracy(model, test) == 0.5  # a logit of 0 says even, and half the digits are
    model[2].bias.data.fill_(1.0)
    assert accuracy(model, test) == 0.5

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
