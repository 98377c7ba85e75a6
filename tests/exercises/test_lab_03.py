"""Lab 03's exercises: likely mistakes are named, other right ways pass."""

import math

import pytest
import torch

from ddl_lab.exercises import lab_03
from ddl_lab.exercises.machine import NOT_YET, RIGHT


def in_place(gradients, counts):
    for gradient, n in zip(gradients, counts, strict=True):
        gradient *= n / sum(counts)
    return sum(gradients)


def inverted(gradients, counts):
    weights = [1 / n for n in counts]
    return sum(w * g for w, g in zip(weights, gradients, strict=True)) / sum(weights)


def by_counts(gradients, counts):
    return sum(n * g for n, g in zip(counts, gradients, strict=True))


def finite(samples, batch):
    return (samples - batch) / (samples - 1)


def closed_form(alpha, nodes):
    return (1 - alpha**nodes) / (nodes * (1 - alpha))


def busy(alpha, nodes):
    speeds = [alpha**i for i in range(nodes)]
    return [min(speeds) / speed for speed in speeds]


def throughput_share(alpha, nodes):
    speeds = [alpha**i for i in range(nodes)]
    return nodes * min(speeds) / sum(speeds)


def rounded(speeds, batch):
    return [round(batch * speed / sum(speeds)) for speed in speeds]


def rest_to_one(speeds, batch):
    counts = [int(batch * speed / sum(speeds)) for speed in speeds]
    return [counts[0] + batch - sum(counts), *counts[1:]]


def equal(speeds, batch):
    base, rest = divmod(batch, len(speeds))
    return [base + (i < rest) for i in range(len(speeds))]


def turned_round(speeds, batch):
    return lab_03.shares.reference([1 / speed for speed in speeds], batch)


WRONG = [
    ("weights", lambda g, n: sum(g), "4 times too large, and 4 is the node count"),
    (
        "weights",
        lambda g, n: sum(g) / len(g),
        "plain mean: a digit of the smallest shard counts as 16",
    ),
    ("weights", by_counts, "divide by their sum, 400"),
    ("weights", lambda g, n: by_counts(g, n) / len(n), "divide by all 400 digits, not by the 4 nodes"),
    ("weights", inverted, "the node with most digits must weigh most"),
    ("weights", lambda g, n: by_counts(g, n) / sum(n) / len(n), "divided by the 4 nodes again"),
    ("weights", lambda g, n: torch.stack(g).mean(1), "shape (4,): (1000,) was asked"),
    ("weights", in_place, "changes its argument gradients"),
    ("noise", lambda s, b, n, r: s / b, "the same with and without replacement"),
    ("noise", lambda s, b, n, r: math.sqrt(s / b), "that is the standard deviation"),
    ("noise", lambda s, b, n, r: s, "the mean of 64 varies less"),
    ("noise", lambda s, b, n, r: s / b * (1 if r else 1 - b / n), "divide by samples - 1"),
    ("noise", lambda s, b, n, r: s / b * (finite(n, b) if r else 1), "with replacement"),
    ("utilisation", closed_form, "alpha = 1.0, 4 nodes: the closed form divides 0 by 0"),
    ("utilisation", lambda a, n: sum(busy(a, n)), "added the busy shares of all nodes"),
    ("utilisation", lambda a, n: 100 * sum(busy(a, n)) / n, "in percent"),
    ("utilisation", lambda a, n: 1 - sum(busy(a, n)) / n, "share of time spent waiting"),
    ("utilisation", throughput_share, "share of the samples/s"),
    ("utilisation", lambda a, n: min(busy(a, n)), "the node that waits longest"),
    ("utilisation", lambda a, n: sum(a**k for k in range(n)) / n, "the slowest node is rank 0"),
    ("shares", rounded, "add up to 513"),
    ("shares", rest_to_one, "rank 0 has 110, its fair share is 105.57"),
    ("shares", equal, "all would wait for the slowest"),
    ("shares", turned_round, "the faster a node, the smaller its share"),
    ("shares", lambda v, b: [b * s / sum(v) for s in v], "there are no parts of digits"),
    ("shares", lambda v, b: tuple(v), "a list of 2 whole numbers"),
]


@pytest.mark.parametrize(
    ("name", "answer", "words"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_likely_mistake_is_named(name, answer, words):
    verdict = getattr(lab_03, name).judge(answer)
    assert verdict.state == NOT_YET
    assert words in verdict.text


def reduced(node, gradient, samples, op="sum", scale=1.0):
    total = torch.tensor([float(samples)])
    node.all_reduce(total)
    gradient *= scale * samples / total.item()
    node.all_reduce(gradient, op=op)
    return gradient


def plain_mean(node, gradient, samples):
    node.all_reduce(gradient, op="mean")
    return gradient


def plain_sum(node, gradient, samples):
    node.all_reduce(gradient)
    return gradient


def no_division(node, gradient, samples):
    gradient *= samples
    node.all_reduce(gradient)
    return gradient


def all_gradients(node, gradient, samples):
    every = [torch.empty_like(gradient) for _ in range(node.world_size)]
    counts = torch.empty(node.world_size)
    node.all_gather(every, gradient)
    node.all_gather(counts, torch.tensor([float(samples)]))
    return (torch.stack(every) * counts[:, None]).sum(0) / counts.sum()


def chatty(node, gradient, samples):
    node.barrier()
    return reduced(node, gradient, samples)


def one_sided(node, gradient, samples):
    found = reduced(node, gradient, samples)
    return found if node.rank == 0 else found * 4


def lost(node, gradient, samples):
    reduced(node, gradient, samples)


def alone(node, gradient, samples):
    if node.rank == 0:
        node.all_reduce(gradient)
    return gradient


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (plain_mean, "on rank 0: the plain mean"),
        (plain_sum, "you summed over nodes"),
        (no_division, "divide by their sum, 400"),
        (lambda node, g, n: reduced(node, g, n, op="mean"), "divided by the 4 nodes again"),
        (all_gradients, "one number, once each"),
        (chatty, "sends 18 messages where 12 would do"),
        (one_sided, "on rank 1: the result differs: 4 times what was asked"),
        (lost, "is there a `return`"),
        (alone, "waits in all_reduce"),
    ],
)
def test_a_likely_mistake_in_the_all_reduce_is_named(answer, words):
    verdict = lab_03.reduce.judge(answer)
    assert verdict.state == NOT_YET
    assert words in verdict.text


def packed(node, gradient, samples):
    both = torch.cat([gradient * samples, torch.tensor([float(samples)])])
    node.all_reduce(both)
    return both[:-1] / both[-1]


def test_one_all_reduce_that_carries_the_count_with_it_is_right_as_well():
    assert lab_03.reduce.judge(packed).state == RIGHT
