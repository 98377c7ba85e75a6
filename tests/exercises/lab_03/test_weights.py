"""Weights for unequal shards."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_03 as exercise


def in_place(gradients, counts):
    for gradient, n in zip(gradients, counts, strict=True):
        gradient *= n / sum(counts)
    return sum(gradients)


def inverted(gradients, counts):
    weights = [1 / n for n in counts]
    return sum(w * g for w, g in zip(weights, gradients, strict=True)) / sum(weights)


def by_counts(gradients, counts):
    return sum(n * g for n, g in zip(counts, gradients, strict=True))


def by_einsum(gradients, counts):
    weights = torch.tensor(counts) / sum(counts)
    return torch.einsum("n,np->p", weights, torch.stack(gradients))


def by_a_running_sum(gradients, counts):
    total, seen = torch.zeros_like(gradients[0]), 0
    for gradient, n in zip(gradients, counts, strict=True):
        seen += n
        total += (gradient - total) * n / seen
    return total


def in_double(gradients, counts):
    n = torch.tensor(counts, dtype=torch.float64)
    return (n / n.sum()) @ torch.stack(gradients).double()


def in_per_cent(gradients, counts):
    return sum(round(n / sum(counts), 2) * g for n, g in zip(counts, gradients, strict=True))


def by_repeating(gradients, counts):
    return torch.repeat_interleave(torch.stack(gradients), torch.tensor(counts), 0).mean(0)


test_any_style_passes = passes(exercise.weights, by_repeating, by_einsum, by_a_running_sum, in_double)

test_a_mistake_is_named = refused(
    exercise.weights,
    (in_per_cent, "with [3, 1, 5] samples: the result differs"),
    (lambda g, n: sum(g), "4 times too large, and 4 is the node count"),
    (
        lambda g, n: sum(g) / len(g),
        "plain mean: a digit of the smallest shard counts as 16",
    ),
    (by_counts, "divide by their sum, 400"),
    (lambda g, n: by_counts(g, n) / len(n), "divide by all 400 digits, not by the 4 nodes"),
    (inverted, "the node with most digits must weigh most"),
    (lambda g, n: by_counts(g, n) / sum(n) / len(n), "divided by the 4 nodes again"),
    (lambda g, n: torch.stack(g).mean(1), "shape (4,): (1000,) was asked"),
    (in_place, "changes its argument gradients"),
)
