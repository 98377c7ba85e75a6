"""Signs as bits: there and back, their bytes, and the mean of what was sent."""

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.sign import packed, scaled_sign, unpacked


@pytest.mark.parametrize("count", [1, 8, 13, 1000])
def test_signs_come_back_from_their_bits(count):
    vector = torch.randn(count, generator=torch.Generator().manual_seed(count))
    assert packed(vector).shape == (-(-count // 8),)
    assert torch.equal(unpacked(packed(vector), count), vector.sign())


def test_zero_counts_as_above():
    assert unpacked(packed(torch.tensor([0.0, -0.0, -1e-30])), 3).tolist() == [1, 1, -1]


def exchanged(node):
    vector = (node.rank + 1) * torch.tensor([1.0, -3.0, 2.0] if node.rank % 2 else [1.0, 3.0, 2.0])
    return scaled_sign(node, vector)


def test_the_mean_is_of_each_ranks_signs_at_its_own_size():
    mean, sent = lab.simulate(exchanged, 2).results[1]
    assert sent.tolist() == [4, -4, 4]
    assert mean.tolist() == [3, -1, 3]


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_bytes_are_a_bit_an_entry_and_a_size(nodes):
    history = lab.simulate(lambda node: scaled_sign(node, torch.ones(1001)), nodes)
    assert history.bytes_sent == [(nodes - 1) * (126 + 4)] * nodes
