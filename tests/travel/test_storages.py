"""Tensors that travel keep their ties, places and kinds."""

import numpy as np
import pytest
import torch
from torch import nn

from ddl_lab.training.data import SharedTensor, load_digits
from ddl_lab.training.model import make_model, parameters
from ddl_lab.travel.capture import CaptureError, freeze, freeze_result, thaw


def copied(value):
    return thaw(freeze(lambda node, value: value, (value,)))[1][0]


def test_a_model_of_an_earlier_cell_keeps_its_tie_to_its_flat_parameters():
    model = make_model(seed=0)
    flat = parameters(model)
    own_model, own_flat = thaw(freeze(lambda node: (model, flat)))[0](None)
    assert torch.equal(own_flat, flat) and parameters(own_model) is not flat
    own_flat.fill_(7)
    assert all(bool((p == 7).all()) for p in own_model.parameters())
    assert not (flat == 7).any()


def test_views_stay_tied_whatever_their_shape_stride_and_dtype():
    base = torch.arange(24, dtype=torch.float32)
    views = [
        base,
        base[3:],
        base[::5],
        base.view(4, 6).T,
        base.view(torch.int32),
        base.expand(2, 24),
    ]
    own = copied(views)
    for mine, given in zip(own, views, strict=True):
        assert torch.equal(mine, given) and mine.dtype == given.dtype
        assert mine.stride() == given.stride()
        assert mine.storage_offset() == given.storage_offset()
    assert len({t.untyped_storage().data_ptr() for t in own}) == 1
    own[0].zero_()
    assert not own[3].any() and base.any()


def test_parameters_stay_parameters_and_keep_requires_grad():
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    own = copied([nn.Parameter(torch.ones(3)), frozen, torch.ones(1, requires_grad=True)])
    assert [type(t) for t in own] == [nn.Parameter, nn.Parameter, torch.Tensor]
    assert [t.requires_grad for t in own] == [True, False, True]


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(0),
        torch.tensor(2.5),
        torch.tensor([1 + 2j]).conj(),
        torch.eye(3).to_sparse(),
        torch.tensor([1, 2], dtype=torch.bfloat16),
        torch.tensor([1, 2], dtype=torch.uint16),
        torch.tensor([True, False]),
    ],
    ids=["empty", "scalar", "conjugated", "sparse", "bfloat16", "uint16", "bool"],
)
def test_every_kind_of_tensor_comes_back_equal(tensor):
    own = copied(tensor)
    assert own.dtype == tensor.dtype and own.layout == tensor.layout
    assert torch.equal(own.to_dense(), tensor.to_dense())


def test_copies_are_aligned_as_torchs_own_memory():
    own = copied([torch.zeros(n) for n in (1, 3, 5, 1000)])
    assert [t.data_ptr() % 64 for t in own] == [0, 0, 0, 0]


def test_a_gradient_stays_behind():
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    assert copied(weight).grad is None


def test_a_tensor_with_a_gradient_history_is_refused_with_the_mend():
    loss = (torch.ones(2, requires_grad=True) * 2).sum()
    with pytest.raises(CaptureError, match=r"captures `loss` \(a torch.Tensor\).*`loss\.detach\(\)`"):
        freeze(lambda node: loss)
    with pytest.raises(CaptureError, match=r"rank 3 returned `result\[0\]`.*`result\[0\]\.detach\(\)`"):
        freeze_result([loss], rank=3)


def test_numpy_arrays_come_back_writable():
    own = copied(np.arange(5))
    own[0] = 9
    assert own.tolist() == [9, 1, 2, 3, 4]


def test_digits_travel_by_name_and_are_shared():
    digits = load_digits()
    frozen = freeze(lambda node: digits)
    assert len(frozen) < 10_000
    own = thaw(frozen)[0](None)
    assert isinstance(own.train.x, SharedTensor)
    assert own.train.x.data_ptr() == digits.train.x.data_ptr()
    plain = digits.test.y[5:9].as_subclass(torch.Tensor)
    assert len(freeze(lambda node: plain)) < 10_000
    assert torch.equal(copied(plain), plain)
