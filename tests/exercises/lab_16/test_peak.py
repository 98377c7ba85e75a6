"""The best count of nodes."""

import math

import numpy as np
from exercising import passes, refused

from ddl_lab.exercises import lab_16 as exercise


def speedup(n, sigma, kappa):
    return n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


def by_climbing(sigma, kappa):
    n = 1
    while speedup(n + 1, sigma, kappa) > speedup(n, sigma, kappa):
        n += 1
    return n


def by_all_counts(sigma, kappa):
    n = np.arange(1, 2000)
    return n[np.argmax(speedup(n, sigma, kappa))]


def by_the_product_of_neighbours(sigma, kappa):
    """S(n + 1) > S(n) as long as kappa n (n + 1) < 1 - sigma."""
    n = math.ceil((-1 + math.sqrt(1 + 4 * (1 - sigma) / kappa)) / 2 - 1e-9)
    return float(max(1, n))


test_any_style_passes = passes(exercise.peak, by_climbing, by_all_counts, by_the_product_of_neighbours)


def returns_nothing(sigma, kappa):
    by_climbing(sigma, kappa)


test_a_mistake_is_named = refused(
    exercise.peak,
    (lambda s, k: round((1 - s) / k), "the root is missing"),
    (lambda s, k: round(math.sqrt(1 / k)), "sigma is missing"),
    (lambda s, k: math.sqrt(k / (1 - s)), "upside down"),
    (lambda s, k: math.sqrt((1 - s) / k), "nodes come whole"),
    (lambda s, k: round(math.sqrt((1 + s) / k)), "sigma is taken away"),
    (lambda s, k: round(math.sqrt(1 - s) / k), "the root takes in both"),
    (lambda s, k: math.floor(math.sqrt((1 - s) / k)) + 1, "the other neighbour is better"),
    (lambda s, k: round(math.sqrt((1 - s) / k)), "one node is the least"),
    (lambda s, k: max(1, round(math.sqrt((1 - s) / k))), "the other neighbour is better"),
    (lambda s, k: max(range(1, 2000), key=lambda n: speedup(n, s, k) / n), "your count is 1, a speed-up of"),
    (lambda s, k: 64, "a speed-up of"),
    (returns_nothing, "is there a `return`"),
)
