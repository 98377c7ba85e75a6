"""How many servers beat a ring: the least, at most as many as workers, else None."""

import math

import numpy as np
from exercising import passes, refused

from ddl_lab.exercises import lab_06 as exercise


def enough(ring, served):
    def fewest(workers, nbytes, cluster):
        a, b = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
        found = (k for k in range(1, workers + 1) if served(workers, k, a, b) <= ring(workers, a, b))
        return next(found, None)

    return fewest


def ring_s(w, a, b):
    return 2 * (w - 1) * (a + b / w)


def served_s(w, k, a, b):
    return 2 * a + (w / k + 1) * b


def without_none(workers, nbytes, cluster):
    return enough(ring_s, served_s)(workers, nbytes, cluster) or workers + 1


def least(workers, nbytes, cluster):
    return enough(ring_s, served_s)(workers, nbytes, cluster)


def among(numbers):
    def fewest(workers, nbytes, cluster):
        a, b = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
        found = (k for k in numbers(workers) if served_s(workers, k, a, b) <= ring_s(workers, a, b))
        return next(found, None)

    return fewest


def shorter_only(workers, nbytes, cluster):
    a, b = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
    found = (k for k in range(1, workers + 1) if served_s(workers, k, a, b) < ring_s(workers, a, b))
    return next(found, None)


def to_the_nearest(workers, nbytes, cluster):
    a, b = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
    left_s = ring_s(workers, a, b) - 2 * a - b
    k = max(1, round(workers * b / left_s)) if left_s > 0 else workers + 1
    return k if k <= workers else None


def powers_of_two(workers):
    return [2**k for k in range(workers.bit_length())]


def solved_for_k(workers, nbytes, cluster):
    a, b = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
    left_s = ring_s(workers, a, b) - 2 * a - b
    k = math.ceil(workers * b / left_s) if left_s > 0 else workers + 1
    return k if k <= workers else None


def by_numpy(workers, nbytes, cluster):
    k = np.arange(1, workers + 1)
    a, b = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
    enough_ = k[served_s(workers, k, a, b) <= ring_s(workers, a, b)]
    return enough_.min() if len(enough_) else None


def by_halving(workers, nbytes, cluster):
    a, b = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
    low, high = 1, workers + 1
    while low < high:
        middle = (low + high) // 2
        fits = middle > workers or served_s(workers, middle, a, b) <= ring_s(workers, a, b)
        low, high = (low, middle) if fits else (middle + 1, high)
    return low if low <= workers else None


test_any_style_passes = passes(exercise.servers, least, solved_for_k, by_numpy, by_halving)

test_a_mistake_is_named = refused(
    exercise.servers,
    (enough(lambda w, a, b: 2 * (w - 1) * (a + b), served_s), "the ring has S/w bytes"),
    (enough(lambda w, a, b: (w - 1) * (a + b / w), served_s), "goes around twice"),
    (enough(lambda w, a, b: 2 * (w - 1) * b / w, served_s), "a latency for each"),
    (enough(ring_s, lambda w, k, a, b: 2 * a + (w + 1) / k * b), "not (w + 1)/k βS"),
    (enough(ring_s, lambda w, k, a, b: 2 * a + w / k * b), "the worker's own link S besides"),
    (without_none, "no more servers than workers"),
    (lambda workers, nbytes, cluster: "many", "the number of servers, or None, is a str"),
    (among(lambda w: range(1, w)), "there may be as many servers as workers"),
    (shorter_only, "a step as long as the ring's is no longer than it"),
    (enough(ring_s, lambda w, k, a, b: 2 * a + (math.ceil(w / k) + 1) * b), "w/k needn't be whole"),
    (enough(ring_s, lambda w, k, a, b: 2 * a + (w // k + 1) * b), "w/k needn't be whole"),
    (to_the_nearest, "servers are whole: round up, not to the nearest"),
    (among(lambda w: range(w, 0, -1)), "that is the most"),
    (among(powers_of_two), "try every number of servers"),
    (lambda w, n, c: least(w, n, c) or w, "None was asked"),
)
