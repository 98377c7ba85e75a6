"""How many workers one server feeds."""

import math
from fractions import Fraction

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_06 as exercise


def feeding(limit, rounding=math.floor, least=0):
    def most(share, nbytes, compute_s, cluster):
        allowed_s = share / (1 - share) * compute_s
        beta_s = nbytes / cluster.bandwidth_bytes_per_s
        return max(least, rounding(limit(allowed_s, cluster.latency_s, beta_s, share * compute_s)))

    return most


def right_limit(m, a, b, s):
    return (m - 2 * a) / b - 1


in_one_formula = feeding(right_limit)
in_one_formula.__name__ = "in_one_formula"


def step_by_step(share, nbytes, compute_s, cluster):
    w = 0
    while True:
        messages_s = 2 * cluster.latency_s + (w + 2) * nbytes / cluster.bandwidth_bytes_per_s
        if messages_s > share * (compute_s + messages_s):
            return w
        w += 1


def by_halving(share, nbytes, compute_s, cluster):
    def fits(w):
        messages_s = 2 * cluster.latency_s + (w + 1) * nbytes / cluster.bandwidth_bytes_per_s
        return messages_s / (messages_s + compute_s) <= share

    low, high = 0, 1
    while fits(high):
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def less_only(share, nbytes, compute_s, cluster):
    w = 0
    while True:
        messages_s = 2 * cluster.latency_s + (w + 2) * nbytes / cluster.bandwidth_bytes_per_s
        if messages_s / (messages_s + compute_s) >= share:
            return w
        w += 1


def none_for_0(share, nbytes, compute_s, cluster):
    return in_one_formula(share, nbytes, compute_s, cluster) or None


def by_numpy(share, nbytes, compute_s, cluster):
    left_s = np.float64(compute_s) * share / (1 - share) - 2 * cluster.latency_s
    return np.clip(np.floor(left_s * cluster.bandwidth_bytes_per_s / nbytes - 1), 0, None)


def of_fractions(share, nbytes, compute_s, cluster):
    share, c, a = Fraction(share), Fraction(compute_s), Fraction(cluster.latency_s)
    return max(0, (share / (1 - share) * c - 2 * a) * Fraction(cluster.bandwidth_bytes_per_s) // nbytes - 1)


def as_a_tensor(share, nbytes, compute_s, cluster):
    return torch.tensor(step_by_step(share, nbytes, compute_s, cluster))


test_any_style_passes = passes(
    exercise.feeds, in_one_formula, step_by_step, by_numpy, of_fractions, as_a_tensor, by_halving
)

test_a_mistake_is_named = refused(
    exercise.feeds,
    (feeding(lambda m, a, b, s: (s - 2 * a) / b - 1), "a share of the whole step"),
    (feeding(lambda m, a, b, s: (m - 2 * a) / b), "w + 1 messages go one after another"),
    (feeding(lambda m, a, b, s: (m - 2 * a) / b / 2), "the link carries both at once"),
    (feeding(right_limit, rounding=math.ceil), "did you round up"),
    (feeding(right_limit, rounding=float), "workers are whole"),
    (feeding(right_limit, least=-9), "never fewer"),
    (feeding(lambda m, a, b, s: m / (a + b) - 1), "latency is not paid for each worker"),
    (less_only, "with 3 messages take just that share, which isn't more than it"),
    (feeding(lambda m, a, b, s: (m - a) / b - 1), "two latencies"),
    (feeding(right_limit, least=1), "one worker's messages take more than that share already"),
    (none_for_0, "the number 0 was asked, and not None"),
    (lambda share, nbytes, compute_s, cluster: "two", "the number of workers is a str: a number was asked"),
)
