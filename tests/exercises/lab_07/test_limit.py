"""The largest learning rate for w equal workers, to 1 %."""

import math

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_07 as exercise


def lr_of(delay=lambda w: w - 1, by=lambda c: c, angle=lambda a: a):
    def largest_lr(curvature, workers):
        return 2 * math.sin(angle(math.pi / (2 * (2 * delay(workers) + 1)))) / by(curvature)

    return largest_lr


def converges(curvature, delay, lr, steps=4000):
    """Whether gradient descent with this delay on a valley of this curvature gets down."""
    places = [1.0] * (delay + 1)
    for _ in range(steps):
        places.append(places[-1] - lr * curvature * places[-1 - delay])
        if abs(places[-1]) > 1e6:
            return False
    return max(map(abs, places[-2 * delay - 2 :])) < 1


def by_halving(curvature, workers):
    low, high = 0.0, 4 / curvature
    while high - low > 0.002 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if converges(curvature, workers - 1, middle) else (low, middle)
    return low


def by_roots(curvature, workers):
    """Where the largest root of z^(τ+1) − z^τ + ηλ leaves the circle of 1."""
    delay = workers - 1
    rates = np.linspace(0.001, 2.2, 2200)
    stable = [
        np.abs(np.roots([1, -1, *[0] * (delay - 1), x] if delay else [1, x - 1])).max() < 1 for x in rates
    ]
    return rates[np.argmin(stable)] / curvature


def by_a_cosine(curvature, workers):
    return 2 * np.cos(np.pi * (workers - 1) / (2 * workers - 1)) / curvature


def as_a_tensor(curvature, workers):
    return 2 / curvature * torch.sin(torch.tensor(torch.pi / (4 * workers - 2)))


test_any_style_passes = passes(exercise.limit, lr_of(), by_halving, by_roots, by_a_cosine, as_a_tensor)

test_a_mistake_is_named = refused(
    exercise.limit,
    (lr_of(delay=lambda w: w), "the delay is w − 1"),
    (lr_of(by=lambda c: 1), "divide by the curvature"),
    (lr_of(by=lambda c: 1 / c), "where you multiplied"),
    (lr_of(angle=math.radians), "radians already"),
    (lambda curvature, workers: 2 / curvature, "the limit without a delay"),
    (lambda curvature, workers: 2 / curvature / workers, "the synchronous limit"),
    (lambda curvature, workers: math.pi / (2 * workers - 1) / curvature, "take the sine"),
    (
        lambda curvature, workers: lr_of()(curvature, workers) * 1.02,
        "your learning rate for curvature 1 and 4 workers is",
    ),
)
