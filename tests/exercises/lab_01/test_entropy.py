"""The entropy of labels, in bits."""

import math
from collections import Counter

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_01 as exercise


def rate(labels):
    return labels.double().mean().item()


def bits(r):
    return -(r * math.log2(r) + (1 - r) * math.log2(1 - r)) if 0 < r < 1 else 0.0


def with_logs(labels):
    r = labels.double().mean()
    return float(-(r * r.log2() + (1 - r) * (1 - r).log2()))


def by_counting(labels):
    counts = Counter(labels.flatten().tolist())
    return sum(n / len(labels) * math.log2(len(labels) / n) for n in counts.values())


def by_numpy(labels):
    shares = np.unique(labels.numpy(), return_counts=True)[1] / len(labels)
    return -(shares * np.log2(shares)).sum()


def by_xlogy(labels):
    r = torch.stack([labels.mean(), 1 - labels.mean()])
    return -torch.xlogy(r, r).sum() / math.log(2)


def by_a_loop(labels):
    ones = 0
    for label in labels:
        ones += int(label)
    return bits(ones / len(labels))


def of_the_articles_rate(labels):
    return bits(0.1) if 0 < rate(labels) < 1 else 0.0


def by_entr(labels):
    r = labels.mean()
    return torch.special.entr(torch.stack([r, 1 - r])).sum() / math.log(2)


def by_torchs_distribution(labels):
    return torch.distributions.Bernoulli(labels.mean()).entropy() / math.log(2)  # 1.7e-7 where all are alike


test_any_style_passes = passes(
    exercise.entropy, by_torchs_distribution, by_entr, by_counting, by_numpy, by_xlogy, by_a_loop
)

test_a_mistake_is_named = refused(
    exercise.entropy,
    (lambda labels: bits(round(rate(labels), 1)), "the entropy of 5 ones among 7 labels"),
    (of_the_articles_rate, "the entropy of 5 ones among 7 labels"),
    (lambda labels: bits(rate(labels)) * math.log(2), "in nats: bits are log2"),
    (lambda labels: -bits(rate(labels)), "the minus in front is missing"),
    (lambda labels: -rate(labels) * math.log2(rate(labels)), "of the ones alone"),
    (lambda labels: -(1 - rate(labels)) * math.log2(1 - rate(labels)), "of the zeros alone"),
    (lambda labels: bits(rate(labels)) * len(labels), "sum over the 20 labels"),
    (lambda labels: 1.0, "1 bit is the entropy where half"),
    (lambda labels: rate(labels), "base rate itself"),
    (lambda labels: print(end=""), "is there a `return`"),
    (lambda labels: labels, "has shape (20, 1): one numbe"),
    (lambda labels: "1 bit", "is a str: a numbe"),
    (lambda labels: with_logs(labels), "0 · log2(0) counts as 0"),
    (lambda labels: bits(rate(labels[:5])), "the entropy of 2 ones among 20 labels is"),
)
