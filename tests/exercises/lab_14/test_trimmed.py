"""A trimmed mean that survives nan."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_14 as exercise


def by_numpy(gradients, liars):
    ordered = np.sort(gradients.numpy(), axis=0)
    return torch.from_numpy(ordered[liars : len(ordered) - liars].mean(axis=0))


def by_a_loop(gradients, liars):
    means = []
    for place in gradients.T.tolist():
        kept = sorted(float("inf") if value != value else value for value in place)
        kept = kept[liars : len(kept) - liars]
        means.append(sum(kept) / len(kept))
    return torch.tensor(means)


def by_topk(gradients, liars):
    n = len(gradients)
    low = gradients.nan_to_num(nan=torch.inf).topk(n - liars, dim=0, largest=False).values
    return low.topk(n - 2 * liars, dim=0).values.sum(0) / (n - 2 * liars)


def in_double(gradients, liars):
    ordered, _ = gradients.double().msort(), None
    return ordered.narrow(0, liars, len(gradients) - 2 * liars).mean(0).float()


test_any_style_passes = passes(exercise.trimmed, by_numpy, by_a_loop, by_topk, in_double)


def ordered(gradients):
    return gradients.sort(dim=0).values


def by_rows(gradients, liars):
    order = gradients.norm(dim=1).nan_to_num(nan=torch.inf).argsort()
    return gradients[order[liars : len(gradients) - liars]].mean(0)


def by_sums(gradients, liars):
    n = len(gradients)
    ends = gradients.topk(liars, dim=0).values.sum(0) + gradients.topk(
        liars, dim=0, largest=False
    ).values.sum(0)
    return (gradients.sum(0) - ends) / (n - 2 * liars)


def zeroed(gradients, liars):
    return ordered(gradients.nan_to_num(nan=0.0))[liars : len(gradients) - liars].mean(0)


test_a_mistake_is_named = refused(
    exercise.trimmed,
    (lambda g, f: ordered(g)[: len(g) - f].mean(0), "only the largest are left out"),
    (lambda g, f: ordered(g)[f:].mean(0), "only the smallest are left out"),
    (lambda g, f: ordered(g)[f : len(g) - f].sum(0) / len(g), "divide by the values that are left"),
    (lambda g, f: ordered(g)[f : len(g) - f].sum(0) / (len(g) - f), "not by n − liars"),
    (lambda g, f: ordered(g)[1 : len(g) - 1].mean(0), "one is left out at each end"),
    (lambda g, f: g.median(0).values, "that is the median"),
    (lambda g, f: g.mean(0), "the plain mean"),
    (lambda g, f: ordered(g)[f:-f].mean(0), "[0:-0] is empty"),
    (by_rows, "you leave out whole rows"),
    (by_sums, "has nan in it"),
    (zeroed, "nan became 0 first"),
    (lambda g, f: ordered(g)[f : len(g) - f], "shape"),
)
