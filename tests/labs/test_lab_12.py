"""Lab 12: what it builds by hand is what the package has, to the bit; its workers are short."""

import inspect

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.strategies.federated import chosen, federated
from ddl_lab.strategies.scaffold import scaffold
from ddl_lab.training.swept import swept

BUILT = ("chosen", "train", "fedavg", "drifting", "corrected", "scaffold-hand")
HAND = defined("12", "s12-setup", *(f"s12-{name}" for name in BUILT))
PARTS = lab.share_out(lab.load_digits(classes=10).train, 3, sizes=[40, 25, 60])


def test_both_sides_draw_the_clients_that_the_package_draws():
    for clients, share, number in ((20, 0.5, 3), (7, 0.1, 0), (4, 1.0, 9)):
        assert HAND["chosen"](clients, share, number) == chosen(clients, share, number)


@pytest.mark.parametrize(
    "options", [{}, {"epochs": 1, "batch_size": None, "lr": 0.5}], ids=["fedavg", "fedsgd"]
)
def test_federated_averaging_by_hand_is_the_packages_to_the_bit(options):
    ours, theirs = (
        lab.simulate(lambda node, way=way: way(node, PARTS, 3, **options), 4)
        for way in (HAND["fedavg"], federated)
    )
    assert torch.equal(ours.results[0], theirs.results[0])
    assert (ours.bytes_sent, ours.messages_sent) == (theirs.bytes_sent, theirs.messages_sent)


def test_scaffold_by_hand_is_the_packages_to_the_bit():
    ours, theirs = (lab.simulate(way, 4, args=(PARTS, 3)) for way in (HAND["scaffolded"], scaffold))
    assert all(torch.equal(a, b) for a, b in zip(ours.results, theirs.results, strict=True))
    assert ours.bytes_sent == theirs.bytes_sent


@pytest.mark.parametrize("local", [1, 2, 5, 20, 100])
def test_averages_rest_where_the_formula_says_and_corrected_ones_at_the_minimum(local):
    ways = [1 - (1 - 0.1 * a) ** local for a in (1.0, 4.0)]
    rests = {name: lab.simulate(HAND[name], 2, args=(local,)).results for name in ("drifting", "corrected")}
    assert rests["drifting"] == pytest.approx([(ways[0] - ways[1]) / sum(ways)] * 2, abs=1e-9)
    assert rests["corrected"] == pytest.approx([-0.6, -0.6], abs=1e-5)


@pytest.mark.parametrize("name", ["fedavg", "scaffolded", "work_locally", "drifting", "corrected"])
def test_what_the_lab_builds_is_at_most_25_lines(name):
    assert len(inspect.getsource(HAND[name]).splitlines()) <= 25


def test_fewer_clients_a_round_are_more_rounds_and_fewer_answers():
    """What the lab says of the sweep: a table made anew must not contradict it unseen."""
    rounds = swept("federated_rounds").query("steps == 50 and lr == 0.2").groupby(["shards", "share"]).rounds
    for shards in ("by chance", "two shards"):
        two, ten, twenty = (rounds.median()[shards, share] for share in (0.1, 0.5, 1.0))
        assert two > ten >= twenty and 2 * two < 10 * ten < 20 * twenty
    assert rounds.median()["two shards", 0.1] > 3 * rounds.median()["two shards", 0.5]
