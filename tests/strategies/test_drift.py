"""Replicas that drift are named, by a few bytes."""

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.drift import drifted, fingerprint


def flip(vector, place, bit):
    vector.view(torch.int32)[place] ^= 1 << bit


def looks(node, wrong, bit):
    vector = torch.linspace(-1, 1, 1000)
    if node.rank in wrong:
        flip(vector, 7, bit)
    return drifted(node, vector)


@pytest.mark.parametrize("engine", [lab.simulate, lab.run])
@pytest.mark.parametrize("wrong", [[], [0], [3], [0, 2]])
def test_whoever_has_other_bits_than_most_is_named_on_all_ranks(engine, wrong):
    history = engine(looks, 5, args=(wrong, 0))
    assert history.results == [wrong] * 5
    assert history.bytes_sent == [4 * 8] * 5


@pytest.mark.parametrize("bit", range(31))
def test_every_single_bit_is_seen(bit):
    vector = torch.linspace(-1, 1, 1000)
    before = fingerprint(vector)
    flip(vector, 999, bit)
    assert fingerprint(vector) != before


def test_of_two_equally_common_ones_the_lowest_ranks_is_right():
    assert lab.simulate(looks, 4, args=([2, 3], 5)).results == [[2, 3]] * 4
    assert lab.simulate(looks, 4, args=([0, 1], 5)).results == [[2, 3]] * 4
