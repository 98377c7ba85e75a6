"""Lab 04: what it builds by hand is what the package has, and its formulas are the cost model's."""

import inspect

import pytest
import torch
from reading import cells, defined

import ddl_lab as lab
from ddl_lab.cluster import collectives
from ddl_lab.strategies import collectives as package

NAMES = {
    "naive_broadcast": "s04-naive",
    "tree_broadcast": "s04-tree",
    "gather_and_broadcast": "s04-gather",
    "ring_all_reduce": "s04-ring",
    "recursive_doubling_all_reduce": "s04-doubling",
}
SETUP = {"torch": torch, "lab": lab}
BY_HAND = defined("04", "s04-setup", *NAMES.values())


def once(node, collective, size):
    tensor = torch.rand(size, generator=torch.Generator().manual_seed(node.rank))
    collective(node, tensor)
    return tensor


def same(ours, theirs):
    assert all(torch.equal(a, b) for a, b in zip(ours.results, theirs.results, strict=True))
    assert ours.bytes_sent == theirs.bytes_sent
    assert ours.messages_sent == theirs.messages_sent


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("nodes", range(1, 10))
def test_by_hand_and_in_the_package_values_bytes_messages_and_seconds_agree(name, nodes):
    for size in (1, 5, 720):
        pair = BY_HAND[name], getattr(package, name)
        ours, theirs = (lab.simulate(once, nodes, args=(collective, size)) for collective in pair)
        same(ours, theirs)
        assert ours.elapsed_s == theirs.elapsed_s


@pytest.mark.parametrize("name", NAMES)
def test_they_agree_in_processes_too(name):
    pair = BY_HAND[name], getattr(package, name)
    same(*(lab.run(once, 3, args=(c, 1_001), progress=False, timeout_s=60) for c in pair))


@pytest.mark.parametrize("name", NAMES)
def test_the_labs_worker_is_at_most_25_lines(name):
    assert len(inspect.getsource(BY_HAND[name]).splitlines()) <= 25


def test_the_labs_formulas_are_what_the_strategies_take():
    seconds = defined("04", "s04-setup", *NAMES.values(), "s04-simulated", "s04-crossover-formulas")[
        "seconds"
    ]
    for nodes in (2, 4, 8):
        told = seconds(nodes, 4 * 800)
        played = [
            lab.simulate(once, nodes, args=(getattr(package, name), 800)).elapsed_s
            for name in list(NAMES)[2:]
        ]
        assert list(told.values()) == pytest.approx(played)
        work = collectives.even_work("all_reduce", 800, nodes, 4)
        assert told["ring"] == pytest.approx(collectives.seconds("ring", work, 50e-6, 1e9))


def test_the_labs_fit_finds_the_line_that_times_were_made_with():
    source = cells("04")["s04-fit"].partition("left_out")[0]
    names = dict(SETUP)
    exec(source, names)
    times = {4**k: 3e-5 + 2e-10 * 4**k for k in range(1, 13)}
    assert names["fit"](times) == pytest.approx((3e-5, 2e-10))
    slower = {size: t * (1.1 if k % 2 else 0.9) for k, (size, t) in enumerate(times.items())}
    assert names["fit"](slower) == pytest.approx((3e-5, 2e-10), rel=0.1)


def test_a_backward_pass_in_buckets_gives_the_sum_whatever_their_size():
    backward = defined("04", "s04-setup", "s04-backward")["backward"]
    for layers_a_bucket in (1, 5, 24):
        runs = [lab.simulate(backward, 2, args=(layers_a_bucket,))]
        runs.append(lab.run(backward, 2, args=(layers_a_bucket,), progress=False, timeout_s=60))
        for result in (result for run in runs for result in run.results):
            assert torch.equal(result.view(24, -1)[:, 0], 2 * torch.arange(23.0, -1, -1) + 1)
