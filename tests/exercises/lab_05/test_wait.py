"""How long a step lasts."""

import math
from fractions import Fraction

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_05 as exercise


def harmonic(n):
    return sum(1 / k for k in range(1, n + 1))


def by_two_harmonic_numbers(workers, backups, mean_s):
    return mean_s * (harmonic(workers) - harmonic(backups))


def by_numpy(workers, backups, mean_s):
    return (mean_s / np.arange(backups + 1, workers + 1)).sum()


def one_after_another(workers, backups, mean_s):
    return 0 if workers == backups else mean_s / workers + one_after_another(workers - 1, backups, mean_s)


def of_fractions(workers, backups, mean_s):
    return Fraction(mean_s) * sum(Fraction(1, n) for n in range(backups + 1, workers + 1))


def as_a_tensor(workers, backups, mean_s):
    return mean_s * torch.arange(backups + 1, workers + 1, dtype=torch.float64).reciprocal().sum()


def in_single_precision(workers, backups, mean_s):
    return mean_s * (1 / torch.arange(backups + 1, workers + 1)).sum()


test_any_style_passes = passes(
    exercise.wait,
    in_single_precision,
    by_two_harmonic_numbers,
    by_numpy,
    one_after_another,
    of_fractions,
    as_a_tensor,
)

test_a_mistake_is_named = refused(
    exercise.wait,
    (lambda w, b, m: m * sum(1 / n for n in range(b + 1, w)), "is 2.59286, and 2.71786 was asked"),
    (lambda w, b, m: m * math.log(w / max(b, 1)), "ln n is only near"),
    (lambda w, b, m: m * harmonic(w), "backups too"),
    (lambda w, b, m: m * harmonic(w - b), "the first 96 of 100 are sooner there"),
    (lambda w, b, m: m, "the last of several takes longer"),
    (lambda w, b, m: m / w, "when the first worker is done"),
    (lambda w, b, m: harmonic(w) - harmonic(b), "multiply by mean_s"),
    (lambda w, b, m: m * (harmonic(w) - harmonic(b + 1)), "one term too early"),
    (lambda w, b, m: m * math.log(w / max(b, 1)) if w > 1 else m, "ln n is only near"),
)
