"""The central difference, of numbers of any library."""

import math
from fractions import Fraction

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_02 as exercise


def mean_of_both_sides(f, t, h):
    ahead, behind = (f(t + h) - f(t)) / h, (f(t) - f(t - h)) / h
    return (ahead + behind) / 2


def of_numpy(f, t, h):
    t, h = np.float64(t), np.float64(h)
    return np.float64(f(t + h) - f(t - h)) / (2 * h)


def as_a_tensor(f, t, h):
    ends = torch.tensor([f(t - h), f(t + h)], dtype=torch.float64)
    return ends.diff()[0] / (2 * h)


def of_fractions(f, t, h):
    return (Fraction(f(t + h)) - Fraction(f(t - h))) / Fraction(2 * h)


def gradient_of_three(f, t, h):
    return np.gradient([f(t - h), f(t), f(t + h)], h)[1]


test_any_style_passes = passes(
    exercise.difference, gradient_of_three, mean_of_both_sides, of_numpy, as_a_tensor, of_fractions
)

test_a_mistake_is_named = refused(
    exercise.difference,
    (lambda f, t, h: f(t) * math.sinh(h) / h, "was asked"),
    (lambda f, t, h: abs(f(t + h) - f(t - h)) / (2 * h), "wrong sign"),
    (lambda f, t, h: (f(t + h) - f(t - h)) * 2, "was asked"),
    (lambda f, t, h: (math.exp(t + h) - math.exp(t - h)) / (2 * h), "was asked"),
    (lambda f, t, h: (f(t + h) - f(t)) / h, "forward difference"),
    (lambda f, t, h: (f(t) - f(t - h)) / h, "backward difference"),
    (lambda f, t, h: (f(t + h) - f(t - h)) / h, "twice too large"),
    (lambda f, t, h: (f(t + h) - f(t - h)) / 2 * h, "into brackets"),
    (lambda f, t, h: (f(t - h) - f(t + h)) / (2 * h), "wrong sign"),
    (lambda f, t, h: f(t + h) - f(t - h), "divided by 2h"),
    (lambda f, t, h: math.exp(t), "was asked"),
    (lambda f, t, h: print(end=""), "is there a `return`"),
)
