"""The smallest batch that keeps up."""

import math
from fractions import Fraction
from itertools import count

import numpy as np
from exercising import passes, refused

from ddl_lab.exercises import lab_15 as exercise


def by_trying(rate, a, b):
    if b * rate >= 1:
        return None
    return next(n for n in count(1) if n / (a + b * n) >= rate)


def in_fractions(rate, a, b):
    rate, a, b = (Fraction(str(value)) for value in (rate, a, b))
    return None if b * rate >= 1 else max(1, math.ceil(a * rate / (1 - b * rate)))


def with_numpy(rate, a, b):
    sizes = np.arange(1, 100_000)
    enough = sizes[sizes / (a + b * sizes) >= rate]
    return enough[0] if len(enough) else None


def by_bisection(rate, a, b):
    low, high = 0, 1 << 20
    if high / (a + b * high) < rate:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle / (a + b * middle) >= rate else (middle, high)
    return high


test_any_style_passes = passes(exercise.keeps_up, by_trying, in_fractions, with_numpy, by_bisection)


def with_a_guard(answer):
    return lambda rate, a, b: None if b * rate >= 1 else answer(rate, a, b)


test_a_mistake_is_named = refused(
    exercise.keeps_up,
    (with_a_guard(lambda r, a, b: max(1, math.ceil(a * r))), "you forgot b"),
    (with_a_guard(lambda r, a, b: max(1, math.ceil((a + b) * r))), "while a pass of one runs"),
    (with_a_guard(lambda r, a, b: max(1, math.ceil(a * r / (1 + b * r)))), "1 − b · rate below"),
    (with_a_guard(lambda r, a, b: max(1, math.floor(a * r / (1 - b * r)))), "too few"),
    (with_a_guard(lambda r, a, b: max(1, round(a * r / (1 - b * r)))), "too few"),
    (with_a_guard(lambda r, a, b: int(a * r / (1 - b * r)) + 1), "but so do smaller ones"),
    (with_a_guard(lambda r, a, b: math.ceil(a * r / (1 - b * r))), "it holds a request at least"),
    (lambda r, a, b: None if b * r > 1 else max(1, math.ceil(a * r / (1 - b * r))), "ZeroDivisionError"),
    (lambda r, a, b: next((n for n in range(1, 50) if n / (a + b * n) >= r), None), "but a batch of 367"),
    (with_a_guard(lambda r, a, b: a * r / (1 - b * r)), "a whole number of requests, rounded up"),
    (with_a_guard(lambda r, a, b: 1 + by_trying(r, a, b)), "but so do smaller ones"),
    (lambda r, a, b: math.ceil(a * r / (1 - b * r)), "return None there"),
    (lambda r, a, b: by_trying(r, a, b) if 2 * b * r < 1 else None, "but a batch of"),
    (with_a_guard(lambda r, a, b: by_trying(r, a, b) - 1), "too few"),
)
