"""Many classes: the logarithm of softmax, for scores of any size."""

import functools
import math

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_01 as exercise


def log_softmax(scores, dim=1):
    return torch.log_softmax(scores, dim)


def batch_max(s):
    shifted = s - s.max()
    return shifted - shifted.exp().sum(1, keepdim=True).log()


def by_logsumexp(scores):
    return scores - torch.logsumexp(scores, 1, keepdim=True)


def ready_made(scores):
    return log_softmax(scores)


def row_by_row(scores):
    rows = []
    for row in scores:
        shifted = row - row.max()
        rows.append(shifted - shifted.exp().sum().log())
    return torch.stack(rows)


def by_numpy(scores):
    s = scores.numpy().astype(np.float64)
    return torch.from_numpy(s - np.logaddexp.reduce(s, axis=1, keepdims=True))


def in_double(scores):
    s = scores.double() - scores.amax(1)[:, None]
    return (s - torch.einsum("nk->n", s.exp()).log()[:, None]).float()


def less(top):
    """With ``top`` of each row's scores taken off first."""

    def answer(s):
        shifted = s - top(s)
        return shifted - shifted.exp().sum(1, keepdim=True).log()

    return answer


def column_by_column(scores):
    return scores - functools.reduce(torch.logaddexp, scores.unbind(1))[:, None]


test_any_style_passes = passes(
    exercise.classes, column_by_column, by_logsumexp, ready_made, row_by_row, by_numpy, in_double
)

test_a_mistake_is_named = refused(
    exercise.classes,
    (less(lambda s: s.abs().max(1, keepdim=True).values), "each row's own largest score, here −1,000"),
    (less(lambda s: s.mean(1, keepdim=True)), "scores of 1,000 give −inf for every class"),
    (less(lambda s: s[:, :1]), "scores of 1,000 give −inf for every class"),
    (lambda s: (s.exp() / s.exp().sum(1, keepdim=True)).log(), "exp(1000) is inf"),
    (lambda s: log_softmax(s).exp(), "those are the probabilities"),
    (lambda s: log_softmax(s, 0), "down the columns"),
    (lambda s: log_softmax(s.flatten(), 0).view_as(s), "over the whole batch"),
    (lambda s: -log_softmax(s), "the wrong way round"),
    (lambda s: s - s.max(1, keepdim=True).values, "the rows aren't normalised"),
    (lambda s: log_softmax(s) / math.log(2), "to the base 2"),
    (batch_max, "each row's own largest score"),
    (lambda s: torch.softmax(s, 1).log(), "subtract logs, form no quotient"),
    (lambda s: s - s.exp().sum(1).log(), "your code raised RuntimeErro"),
    (lambda s: log_softmax(s).sum(1), "has shape (4,): (4, 3) was asked"),
)
