"""Fewer bits a number: levels there and back, right on average, within the published bound; bytes."""

from functools import partial

import pytest
import torch

import ddl_lab as lab
from ddl_lab.strategies.quantised import half, levels_of, packed, qsgd, quantise, restored, unpacked


def gaussian(count, seed=0):
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_levels_come_back_from_their_bytes(bits):
    codes, _ = quantise(gaussian(1000), levels_of(bits), 512, torch.Generator())
    assert packed(codes, bits).shape == (2, 512 * bits // 8)
    assert torch.equal(unpacked(packed(codes, bits), bits), codes)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_entry_that_is_its_whole_bucket_keeps_its_size(bits, sign):
    vector = torch.zeros(512)
    vector[7] = sign * 0.3
    for seed in range(50):
        chance = torch.Generator().manual_seed(seed)
        back = restored(*quantise(vector, levels_of(bits), 512, chance), levels_of(bits), 512)
        assert torch.allclose(back, vector, atol=1e-6)


def test_rounding_never_leaves_the_lowest_level(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, generator: torch.zeros(shape))  # the unluckiest chance
    for size in torch.linspace(0.1, 1, 500):  # some, times 127 / size, are beyond 127 by a rounding error
        vector = torch.tensor([-size])
        assert torch.allclose(restored(*quantise(vector, 127, 4, torch.Generator()), 127, 1), vector)


@pytest.mark.parametrize("bits", [2, 4])
def test_it_is_right_on_average_and_varies_no_more_than_the_bound(bits):
    vector, s, times = gaussian(200), levels_of(bits), 2000
    chance = torch.Generator().manual_seed(5)
    tries = torch.stack([restored(*quantise(vector, s, 200, chance), s, 200) for _ in range(times)])
    variance = ((tries - vector) ** 2).sum(1).mean()
    assert variance <= min(200 / s**2, 200**0.5 / s) * vector.norm() ** 2
    assert (tries.mean(0) - vector).norm() ** 2 < 3 * variance / times


def sending(node, exchange, count=1000):
    return exchange(node, gaussian(count, node.rank), 0)


@pytest.mark.parametrize("nodes", [1, 2, 5])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_bytes_are_so_many_bits_an_entry_and_a_norm_a_bucket(nodes, bits):
    history = lab.simulate(sending, nodes, args=(partial(qsgd, bits=bits),))
    assert history.bytes_sent == [(nodes - 1) * 2 * (512 * bits // 8 + 4)] * nodes


def test_ranks_round_by_chances_of_their_own():
    same = gaussian(512)
    sent = [s for _, s in lab.simulate(lambda node: qsgd(node, same, 0, 2), 2).results]
    assert not torch.equal(*sent)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_halves_the_bytes_and_is_near(dtype):
    history = lab.simulate(sending, 4, args=(partial(half, dtype=dtype),))
    assert sum(history.bytes_sent) == 2 * 3 * 2 * 1000
    mean = sum(gaussian(1000, rank) for rank in range(4)) / 4
    assert (history.results[0][0] - mean).norm() < 0.01 * mean.norm()


def test_a_mean_in_float16_does_not_leave_its_range_where_its_sum_would():
    (mean, _), _ = lab.simulate(lambda node: half(node, torch.full((3,), 6e4), 0, torch.float16), 2).results
    assert mean.tolist() == pytest.approx([6e4] * 3, rel=1e-3)


@pytest.mark.parametrize("bits", [1, 3, 16])
def test_bits_that_fill_no_bytes_are_refused(bits):
    with pytest.raises(ValueError, match=rf"bits={bits}: an entry can have 2, 4 or 8"):
        levels_of(bits)
