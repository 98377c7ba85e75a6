"""Lab 13: what it builds by hand is what the package has, to the bit; its workers are short."""

import inspect

import pytest
import torch
from reading import defined

import ddl_lab as lab
from ddl_lab.strategies import diloco, gossip, local_steps, optimised
from ddl_lab.training import optimisers
from ddl_lab.training.swept import swept

HAND = defined(
    "13",
    *(
        f"s13-{name}"
        for name in ("setup", "adam", "train", "bits", "local", "adamw", "diloco", "noise-exact")
    ),
)
DATA, HIDDEN = lab.load_digits().train, 64


def same(ours, package):
    assert all(torch.equal(a, b) for a, b in zip(ours.results, package.results, strict=True))
    assert (ours.bytes_sent, ours.messages_sent) == (package.bytes_sent, package.messages_sent)


def test_adam_and_its_worker_by_hand_are_the_packages():
    ours = lab.simulate(lambda node: HAND["train"](node, HAND["Adam"](0.01), 6)[0], 3)
    same(ours, lab.simulate(optimised.optimised, 3, args=(DATA, 6, optimisers.Adam(0.01), 25, HIDDEN)))


@pytest.mark.parametrize("decay", [0.0, 0.01, 0.3])
def test_adamw_by_hand_is_the_packages(decay):
    """In what DiLoCo's inner steps are the paper's: the decay is beside the means of the gradients."""
    ours = lab.simulate(lambda node: HAND["train"](node, HAND["AdamW"](0.01, decay), 6)[0], 3)
    inner = optimisers.AdamW(0.01, decay)
    same(ours, lab.simulate(optimised.optimised, 3, args=(DATA, 6, inner, 25, HIDDEN)))


@pytest.mark.parametrize("every", [1, 4, 9])
def test_local_sgd_by_hand_is_the_packages(every):
    ours = lab.simulate(HAND["local_sgd"], 3, args=(every, 9))
    same(ours, lab.simulate(local_steps.local_sgd, 3, args=(DATA, 9, every, 0.4, 25, HIDDEN)))


def test_strangers_by_hand_are_the_packages():
    ours = lab.simulate(lambda node: HAND["local_sgd"](node, 3, 3, same_start=False), 3)
    same(ours, lab.simulate(local_steps.local_sgd, 3, args=(DATA, 3, 3, 0.4, 25, HIDDEN, 0, 0, 100)))


@pytest.mark.parametrize("outer", [(0.7, 0.9), (1.0, 0.0)])
def test_diloco_by_hand_is_the_packages(outer):
    ours = lab.simulate(HAND["far_apart"], 3, args=(HAND["AdamW"](0.01), *outer, 4, 9))
    args = (DATA, 9, 4, optimisers.AdamW(0.01), *outer, 25, HIDDEN)
    same(ours, lab.simulate(diloco.diloco, 3, args=args))


def test_the_noise_scale_of_one_pass_is_that_of_gradients_one_by_one():
    data, model = DATA.part(slice(40)), lab.make_model(seed=3, hidden=HIDDEN)
    each = torch.stack(
        [
            lab.gradient(lab.bce_with_logits(model(x[None]), y[None]), model)
            for x, y in zip(data.x, data.y, strict=True)
        ]
    ).double()
    signal = each.mean(0).pow(2).sum()
    noise = each.pow(2).sum(1).mean() - signal
    assert HAND["noise_scale"](model, data) == pytest.approx(float(noise / signal), rel=1e-4)


@pytest.mark.parametrize(
    "worker",
    [HAND["train"], HAND["local_sgd"], HAND["far_apart"], optimised.optimised, local_steps.local_sgd,
               diloco.diloco, gossip.gossip], ids=lambda worker: worker.__name__,
)  # fmt: skip
def test_a_worker_is_at_most_25_lines_without_its_words(worker):
    source = inspect.getsource(worker).replace(inspect.getdoc(worker) or "\0", "")
    body = source[source.index("model = ") :]
    assert len(body.splitlines()) <= 25


def test_the_tables_say_what_the_lab_says_of_them():
    """Orders that its sentences rest on: a sweep made anew must not contradict them unseen."""
    local, large = swept("local_steps").fillna({"more": ""}), swept("large_batches")
    chance = local[local.shards == "chance"].groupby(["way", "more", "lr"]).loss
    met, averages, outer = (
        chance.median()[way, more]
        for way, more in (
            ("AdamW", ""),
            ("DiLoCo of AdamW", "outer 1, 0"),
            ("DiLoCo of AdamW", "outer 0.7, 0.9"),
        )
    )
    assert met.min() < 0.5 * outer.min() < 0.5 * averages.min() < outer[0.001]
    highest, lowest = chance.max(), chance.min()
    assert (
        highest["DiLoCo of AdamW", "outer 0.7, 0.9", outer.idxmin()]
        < lowest["DiLoCo of AdamW", "outer 1, 0", averages.idxmin()]
    )
    rates = large[large.optimiser == "Adam"].groupby(["batch", "lr"]).loss.median().groupby("batch").idxmin()
    assert rates[2000][1] <= 4 * rates[50][1]
    steps = swept("critical_batch").groupby(["batch", "lr"]).steps.median().groupby("batch").min()
    assert steps[4000] > 0.9 * steps[80]
