"""The variance of the mean, with and without replacement."""

import math
from fractions import Fraction

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_03 as exercise


def finite(samples, batch):
    return (samples - batch) / (samples - 1)


def in_one_line(sigma2, batch, samples, replacement):
    return sigma2 / batch * (1 if replacement else (samples - batch) / (samples - 1))


def by_covariances(sigma2, batch, samples, replacement):
    between = 0 if replacement else -sigma2 / (samples - 1)  # of two different draws
    return (batch * sigma2 + batch * (batch - 1) * between) / batch**2


def by_numpy(sigma2, batch, samples, replacement):
    left = np.float64(samples - batch) / (samples - 1)
    return np.where(replacement, sigma2 / batch, left * sigma2 / batch)


def of_fractions(sigma2, batch, samples, replacement):
    left = Fraction(1) if replacement else Fraction(samples - batch, samples - 1)
    return Fraction(sigma2) / batch * left


def as_a_tensor(sigma2, batch, samples, replacement):
    return torch.tensor(in_one_line(sigma2, batch, samples, replacement), dtype=torch.float64)


test_any_style_passes = passes(
    exercise.noise, in_one_line, by_covariances, by_numpy, of_fractions, as_a_tensor
)

test_a_mistake_is_named = refused(
    exercise.noise,
    (lambda s, b, n, r: s / b, "the same with and without replacement"),
    (lambda s, b, n, r: math.sqrt(s / b), "that is the standard deviation"),
    (lambda s, b, n, r: s, "the mean of 64 varies less"),
    (lambda s, b, n, r: s / b * (1 if r else 1 - b / n), "divide by samples - 1"),
    (lambda s, b, n, r: s / b * (finite(n, b) if r else 1), "with replacement"),
    (lambda s, b, n, r: in_one_line(s, n, n + 1, r), "divide by the batch, not by all samples"),
    (lambda s, b, n, r: s * b, "variance of the sum of a batch"),
)
