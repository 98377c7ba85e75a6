"""Lab 11: what it builds by hand is what the package has, to the bit; its worker is short."""

import inspect

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.strategies import compression, low_rank, quantised, top_k

HAND = defined("11", "s11-setup", *(f"s11-{name}" for name in ("dense", "top", "train", "rank-hand")))
DATA = lab.load_digits().train
WAYS = {
    "dense": (HAND["dense"], compression.dense),
    "top-k": (HAND["top_k"], top_k.top_k),
    "low rank": (HAND["thin"], low_rank.LowRank(2, warm=False)),
}


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize("name", WAYS)
def test_the_exchanges_and_the_worker_by_hand_are_the_packages_to_the_bit(name, memory):
    by_hand, theirs = WAYS[name]
    ours = lab.simulate(HAND["train"], 3, args=(by_hand, memory, 1))
    package = lab.simulate(compression.compressed, 3, args=(DATA, theirs, memory, 50, 1))
    assert all(torch.equal(a, b) for a, b in zip(ours.results, package.results, strict=True))
    assert (ours.bytes_sent, ours.messages_sent) == (package.bytes_sent, package.messages_sent)


@pytest.mark.parametrize(("kind", "mean"), [(torch.float16, float("inf")), (torch.bfloat16, 59_904.0)])
@pytest.mark.filterwarnings("ignore:op='mean'")
def test_a_sum_leaves_float16_where_shares_of_the_mean_do_not(kind, mean):
    def both(node):
        large = torch.full((1,), 60_000.0)
        added = large.to(kind)
        node.all_reduce(added, op="mean")
        return added.item(), quantised.half(node, large, dtype=kind)[0].item()

    added, shared = lab.simulate(both, 2).results[0]
    assert added == mean and shared == pytest.approx(60_000, rel=2e-3)


@pytest.mark.parametrize("name", ["dense", "top_k", "train", "thin"])
def test_what_the_lab_builds_is_at_most_25_lines(name):
    assert len(inspect.getsource(HAND[name]).splitlines()) <= 25
