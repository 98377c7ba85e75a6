"""The network, and the tie between a model's parameters and one flat tensor (test_model_steps: use)."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from ddl_lab.training.model import gradient, make_model, parameters, sgd_step

SIZE = 784 * 256 + 256 + 256 + 1


def leaves_of(model: nn.Module) -> torch.Tensor:
    """Return the parameters one after another, read leaf by leaf."""
    return torch.cat([leaf.detach().reshape(-1) for leaf in model.parameters()])


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
    assert model(torch.zeros(64, 784)).shape == (64, 1)
    assert parameters(model).shape == (SIZE,)
    assert parameters(make_model(0, hidden=16)).shape == (784 * 16 + 16 + 16 + 1,)


def test_outputs_make_the_last_layer_wider_and_leave_the_first_as_it_is():
    one, ten = make_model(0), make_model(0, outputs=10)
    assert ten(torch.zeros(64, 784)).shape == (64, 10)
    assert parameters(ten).shape == (784 * 256 + 256 + 10 * 256 + 10,)
    assert torch.equal(one[0].weight, ten[0].weight)
    assert ten[2].weight.abs().max() <= 1 / 16
    assert_tied(ten)


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
        ({"seed": 0, "outputs": 0}, ValueError, "outputs must be from 1 .* got 0"),
        ({"seed": 0, "outputs": 2.0}, TypeError, "outputs must be a whole number, got 2.0"),
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


@pytest.mark.parametrize("part", [lambda model: model[2], lambda model: nn.Sequential(model), nn.ModuleList])
def test_a_part_or_a_wrapper_of_a_tied_model_shares_its_flat_tensor(part):
    model = make_model(seed=0)
    flat = parameters(model)
    own = parameters(part(model))
    own.fill_(3.0)
    assert parameters(model) is flat and bool((flat[-len(own) :] == 3.0).all())
    flat.zero_()
    assert not own.any() and not any(bool(p.any()) for p in model.parameters())


def test_a_compiled_model_shares_the_flat_tensor_of_its_own():
    model = make_model(seed=0)
    flat = parameters(model)
    compiled = torch.compile(model, backend="eager")
    parameters(compiled).fill_(3.0)
    assert bool((flat == 3.0).all()) and all(bool((p == 3.0).all()) for p in model.parameters())


@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_a_weight_normed_layer_is_trained_through_its_flat_tensor(norm):
    layer = norm(nn.Linear(4, 3))
    flat, x = parameters(layer), torch.ones(2, 4)
    before = layer(x).detach()
    sgd_step(layer, gradient(layer(x).sum(), layer), lr=0.1)
    assert parameters(layer) is flat and (layer(x) < before).all()
