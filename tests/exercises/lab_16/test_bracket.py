"""An efficiency between two bounds."""

import numpy as np
import torch
from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_16 as exercise
from ddl_lab.forecast.steps import bracket


def with_the_package(c, nbytes, n, latency, bandwidth):
    return bracket(c, 2 * (n - 1) * (latency + nbytes / n / bandwidth))


def by_a_cluster(c, nbytes, n, latency, bandwidth):
    link = lab.Cluster(latency_s=latency, bandwidth_bytes_per_s=bandwidth)
    ring = link.cost("all_reduce", round(nbytes), n).seconds
    hidden = min(ring, 2 * c / 3)
    return [c / (c + ring), c / (c + ring - hidden)]


def by_speedups(c, nbytes, n, latency, bandwidth):
    ring = sum(latency + nbytes / n / bandwidth for _ in range(2 * (n - 1)))
    longest = np.array([c + ring, max(c, c / 3 + ring)])
    return torch.tensor(n * c / longest / n)


test_any_style_passes = passes(exercise.bracket, with_the_package, by_a_cluster, by_speedups)


def wrong(low=lambda c, r: c / (c + r), high=None, ring=None):
    def answer(c, nbytes, n, latency, bandwidth):
        took = (ring or (lambda s, n, a, b: 2 * (n - 1) * (a + s / n / b)))(nbytes, n, latency, bandwidth)
        best = high or (lambda c, r: c / (c + max(0.0, r - 2 / 3 * c)))
        return low(c, took), best(c, took)

    return answer


test_a_mistake_is_named = refused(
    exercise.bracket,
    (wrong(ring=lambda s, n, a, b: 2 * (n - 1) * a + 2 * s / b), "2S: a ring sends"),
    (wrong(ring=lambda s, n, a, b: 2 * (n - 1) / n * s / b), "the latencies are missing"),
    (wrong(ring=lambda s, n, a, b: a + 2 * (n - 1) / n * s / b), "one latency"),
    (wrong(ring=lambda s, n, a, b: (n - 1) * (a + s / n / b)), "half a ring"),
    (wrong(ring=lambda s, n, a, b: 2 * (n - 1) * (a + s / b)), "each message carries an n-th"),
    (wrong(low=lambda c, r: r / c), "exchange over the computing"),
    (wrong(low=lambda c, r: r / (c + r)), "the efficiency is the rest"),
    (wrong(high=lambda c, r: c / (c + r - 2 / 3 * c)), "an efficiency above 1"),
    (wrong(high=lambda c, r: c / (c + max(0, r - c))), "hidden behind all computing"),
    (wrong(high=lambda c, r: c / (c + max(0, r - c / 3))), "behind the forward pass"),
    (wrong(high=lambda c, r: 1.0), "as if all of it could always be hidden"),
    (wrong(high=lambda c, r: c / (c + r)), "nothing is hidden"),
    (lambda *case: wrong()(*case)[::-1], "the other way round"),
    (lambda *case: wrong()(*case)[0], "a list was asked"),
)
