"""Shared tensors: whatever writes is refused, whatever reads works and costs little."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from ddl_lab.training.data import load_digits
from ddl_lab.travel.shared import SharedTensor

MESSAGE = (
    r"^digits\.train\.x is shared by all nodes and read-only: "
    r"work on a copy, x = digits\.train\.x\.clone\(\)$"
)


@pytest.fixture
def x():
    """Hand out digits.train.x, and check that it comes back as it was."""
    x = load_digits().train.x
    before = x.clone()
    yield x
    assert x.shape == before.shape
    assert torch.equal(x, before)


def assign(x):
    x[0] = 1.0


def assign_data(x):
    x.data = torch.zeros(1)


def add_in_place(x):
    x += 1


WRITES = {
    "x[0] = 1": assign,
    "x += 1": add_in_place,
    "x.data = ...": assign_data,
    "x.zero_()": lambda x: x.zero_(),
    "x.copy_()": lambda x: x.copy_(torch.zeros_like(x)),
    "x.set_()": lambda x: x.set_(torch.zeros(1)),
    "x.resize_()": lambda x: x.resize_(3),
    "x.t_()": lambda x: x.t_(),
    "x.index_add_()": lambda x: x.index_add_(0, torch.tensor([0]), torch.ones(1, 784)),
    "x.__ior__()": lambda x: x.__ior__(x),
    "x.requires_grad_()": lambda x: x.requires_grad_(),
    "x.share_memory_()": lambda x: x.share_memory_(),
    "torch.relu_(x)": lambda x: torch.relu_(x),
    "torch.add(out=x)": lambda x: torch.add(x, 1, out=x),
    "torch.exp(out=x)": lambda x: torch.exp(torch.zeros(1), out=x),
    "torch.max(out=(x, ...))": lambda x: torch.max(x, 0, out=(x[0], torch.zeros(784).long())),
    "torch._foreach_add_([x])": lambda x: torch._foreach_add_([x], 1.0),
    "functional.relu(inplace)": lambda x: functional.relu(x, inplace=True),
    "nn.Dropout(inplace)": lambda x: nn.Dropout(inplace=True)(x),
    "nn.init.zeros_(tensor=x)": lambda x: nn.init.zeros_(tensor=x),
    "nn.Parameter(x)": lambda x: nn.Parameter(x),
    "torch.from_dlpack(x)": lambda x: torch.from_dlpack(x),
    "a slice": lambda x: x[3:5].zero_(),
    "the transpose": lambda x: x.T.zero_(),
    "x.detach()": lambda x: x.detach().zero_(),
    "x.data": lambda x: x.data.zero_(),
    "a reshaped view": lambda x: x.reshape(2000, -1).zero_(),
    "a view of another dtype": lambda x: x.view(torch.int32).zero_(),
    "a part of a split": lambda x: x.split(2000)[1].zero_(),
    "a row of a loop": lambda x: next(iter(x)).zero_(),
    "x.float()": lambda x: x.float().zero_(),
    "torch.as_tensor(x)": lambda x: torch.as_tensor(x).zero_(),
    "a pickled copy": lambda x: pickle.loads(pickle.dumps(x[:2])).zero_(),
    "a shallow copy": lambda x: copy.copy(x).zero_(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_every_way_to_write_is_refused_with_the_mend(x, write):
    with pytest.raises(RuntimeError, match=MESSAGE):
        write(x)


def test_every_method_in_place_that_torch_has_is_refused(x):
    names = [name for name in dir(torch.Tensor) if name.endswith("_") and not name.endswith("__")]
    assert len(names) > 100
    for name in names:
        with pytest.raises(RuntimeError, match=MESSAGE):
            SharedTensor.__torch_function__(getattr(torch.Tensor, name), (SharedTensor,), (x,))


@pytest.mark.parametrize("make", [lambda x: x.numpy(), np.asarray, lambda x: x[0].numpy()])
def test_arrays_over_the_same_memory_are_not_writeable(x, make):
    with pytest.raises(ValueError, match="read-only"):
        make(x)[0] = 1.0


COPIES = {
    "x.clone()": lambda x: x.clone(),
    "x * 2": lambda x: x * 2,
    "x[indices]": lambda x: x[torch.tensor([1, 2])],
    "x.index_select()": lambda x: x.index_select(0, torch.tensor([1, 2])),
    "x[mask]": lambda x: x[x > 0.5],
    "x.double()": lambda x: x.double(),
    "copy.deepcopy(x)": lambda x: copy.deepcopy(x),
    "torch.stack": lambda x: torch.stack([x[0], x[1]]),
    "torch.empty_like": lambda x: torch.empty_like(x),
    "x.max(0).values": lambda x: x.max(0).values,
    "nn.Linear()(x)": lambda x: nn.Linear(784, 2)(x).detach(),
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES.keys())
def test_what_has_memory_of_its_own_is_a_plain_tensor_one_may_write_to(x, make):
    made = make(x)
    assert type(made) is torch.Tensor
    made.zero_()


@pytest.mark.parametrize(
    "read",
    [
        lambda x, buffer: buffer.copy_(x[0]),
        lambda x, buffer: buffer.add_(x[0]),
        lambda x, buffer: buffer.__setitem__(slice(None), x[0]),
        lambda x, buffer: torch.mul(x[0], 2, out=buffer),
        lambda x, buffer: torch._foreach_add_([buffer], [x[0]]),
    ],
)
def test_a_shared_tensor_may_be_what_is_read_in_an_operation_in_place(x, read):
    buffer = torch.zeros(784)
    read(x, buffer)
    assert buffer.sum() > 0


def test_numbers_shapes_and_text_are_as_those_of_a_plain_tensor(x):
    plain = x.clone()
    assert (x.shape, len(x), x.dtype, x.stride()) == (plain.shape, 4000, plain.dtype, (784, 1))
    assert x.sum().item() == plain.sum().item()
    assert f"{x[0, 0]:.2f}" == "0.00"
    assert np.array_equal(np.asarray(x), plain.numpy())
    assert x.to_sparse().to_dense().equal(plain)
    assert torch.vmap(torch.sum)(x[:3]).tolist() == [row.sum().item() for row in plain[:3]]


def test_gradients_flow_through_a_shared_input_to_the_weights(x):
    weights = torch.zeros(784, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad((x[:5] @ weights).sum(), weights)
    assert type(gradient) is torch.Tensor
    assert torch.allclose(gradient[:, 0], x[:5].sum(0))


def test_targets_are_guarded_under_their_own_name():
    with pytest.raises(RuntimeError, match=r"^digits\.test\.labels is shared"):
        load_digits().test.labels[0] = 3


def test_what_it_is_a_view_of_is_a_plain_tensor_so_that_asking_on_ends(x):
    for view in (x, x[:5], x.detach(), x[:5].T):
        bases = 0
        while view._is_view():
            view, bases = view._base, bases + 1
            assert bases < 5 and view is not None


def test_a_network_is_exported_with_digits_as_its_example(x):
    network = nn.Linear(784, 1)
    program = torch.export.export(network, (x[:5],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert torch.equal(program.module()(x[:7]), network(x[:7]))
