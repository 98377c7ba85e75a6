"""Lab 04: what it builds by hand is what the package has, and its formulas are the cost model's."""

import inspect
from dataclasses import replace
from functools import partial

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


OVERLAP = defined("04", "s04-setup", "s04-backward")


def test_a_backward_pass_in_buckets_gives_the_sum_whatever_their_size():
    backward = OVERLAP["backward"]
    for layers_a_bucket, overlap in ((1, True), (5, True), (5, False), (24, True)):
        args = (layers_a_bucket, overlap)
        runs = [lab.simulate(backward, 2, args=args)]
        runs.append(lab.run(backward, 2, args=args, progress=False, timeout_s=60))
        for result in (result for run in runs for result in run.results):
            assert torch.equal(result.view(24, -1)[:, 0], 2 * torch.arange(23.0, -1, -1) + 1)


def test_the_best_bucket_is_next_to_where_messages_and_arithmetic_take_equally_long():
    took = {k: OVERLAP["step"](k).elapsed_s for k in (1, 2, 3, 4, 6, 8, 12, 24)}
    assert OVERLAP["step"](2, overlap=False).elapsed_s == pytest.approx(84.9e-3)
    assert took[2] == pytest.approx(62.9e-3) and min(took, key=took.get) == 8
    alpha, beta, c, s, n = 3e-4, 1 / 2e8, 1e-3, 50_000, 8
    equal = 2 * (n - 1) * alpha / (c - 2 * (n - 1) / n * beta * s)
    assert equal == pytest.approx(7.5, abs=0.05)
    assert took[8] == pytest.approx(24 * c + 2 * (n - 1) * (alpha + beta * 8 * s / n))  # only the last shows


@pytest.mark.parametrize("engine", [lab.simulate, partial(lab.run, progress=False, timeout_s=60)])
def test_a_tensor_that_is_written_while_it_is_sent_is_refused(engine):
    source = cells("04")["s04-hasty"].partition("lab.run(")[0]
    names = dict(SETUP)
    exec(source, names)
    with pytest.raises(lab.LabError, match="written before the handle's wait"):
        engine(names["hasty"], 2)


def test_a_star_pays_one_latency_and_all_bytes_on_one_link():
    star = defined("04", "s04-setup", "s04-star")["star_broadcast"]
    cluster = lab.Cluster(latency_s=0.5, bandwidth_bytes_per_s=8.0)
    for nodes in (2, 5, 8):
        run = lab.simulate(once, nodes, cluster=cluster, args=(star, 2))
        assert run.elapsed_s == 0.5 + (nodes - 1) * 8 / 8.0
        assert all(torch.equal(result, run.results[0]) for result in run.results)


def test_two_levels_by_groups_are_those_of_the_package_message_by_message():
    names = defined("04", "s04-setup", "s04-levels")

    def by_groups(node, tensor):
        names["two_levels"](node, tensor, 4)

    def by_messages(node, tensor):
        package.two_level_all_reduce(node, tensor, 4)

    cluster = replace(names["hosts"], host_size=4)
    ours, theirs = (
        lab.simulate(once, 12, cluster=cluster, args=(collective, 2_400))
        for collective in (by_groups, by_messages)
    )
    assert all(torch.allclose(a, b) for a, b in zip(ours.results, theirs.results, strict=True))
    assert (ours.bytes_sent, ours.messages_sent) == (theirs.bytes_sent, theirs.messages_sent)
    assert ours.elapsed_s == pytest.approx(theirs.elapsed_s)


def test_a_tree_never_wins_by_the_cost_model():
    for nodes in (2, 3, 5, 8, 37, 64, 1000):
        for size in (4, 4_000, 4_000_000):
            choices = lab.Cluster().cost("all_reduce", size, nodes).choices
            assert choices["tree"] >= min(s for name, s in choices.items() if name != "tree") * (1 - 1e-9)
