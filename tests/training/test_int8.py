"""A byte a weight: lab 15's layer, at most half a step of the scale off."""

import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.training.int8 import Int8, bytes_of, in_int8

TEST = lab.load_digits().test


def test_a_layer_computes_what_lab_15s_does_to_the_bit():
    theirs = defined("15", "s15-int8-layer", torch=torch)["Int8"]
    layer = lab.make_model(seed=0, hidden=8)[0]
    assert torch.equal(Int8(layer)(TEST.x[:50]), theirs(layer)(TEST.x[:50]))


def test_no_weight_is_off_by_more_than_half_a_step_of_its_rows_scale():
    layer = lab.make_model(seed=0)[0]
    kept = Int8(layer)
    off = (kept.codes.float() * kept.scale[:, None] - layer.weight).abs()
    assert (off <= 0.5001 * kept.scale[:, None]).all() and kept.codes.dtype == torch.int8


def test_a_row_of_zeros_stays_zeros():
    layer = torch.nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight[1] = 0
    assert torch.equal(Int8(layer)(torch.ones(1, 4))[0, 1], layer.bias[1])


def test_a_network_takes_a_byte_a_weight_and_four_more_a_row():
    model = lab.make_model(seed=0, hidden=8)
    assert bytes_of(model) == 4 * (784 * 8 + 8 + 8 + 1)
    assert bytes_of(in_int8(model)) == 784 * 8 + 8 + 2 * 4 * (8 + 1)
