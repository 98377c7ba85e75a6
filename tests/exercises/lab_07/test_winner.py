"""Seconds of both servers."""

import math
from fractions import Fraction

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_07 as exercise


def harmonic(n):
    return sum(1 / k for k in range(1, n + 1))


def seconds_of(synchronous, asynchronous=lambda n, m, u: u * m / n):
    def race(workers, mean_s, rounds, updates):
        return synchronous(workers, mean_s, rounds), asynchronous(workers, mean_s, updates)

    return race


def the_right_rounds(n, m, r):
    return r * harmonic(n) * m


def by_numpy(workers, mean_s, rounds, updates):
    return np.array([rounds * (mean_s / np.arange(1, workers + 1)).sum(), updates * mean_s / workers])


def one_after_another_done(workers, mean_s, rounds, updates):
    round_s, left = 0.0, workers
    while left:
        round_s, left = round_s + mean_s / left, left - 1
    return [rounds * round_s, mean_s / workers * updates]


def of_fractions(workers, mean_s, rounds, updates):
    mean = Fraction(mean_s)
    return rounds * mean * sum(Fraction(1, k) for k in range(1, workers + 1)), updates * mean / workers


def as_a_tensor(workers, mean_s, rounds, updates):
    return torch.tensor(one_after_another_done(workers, mean_s, rounds, updates), dtype=torch.float64)


def the_other_way_round(workers, mean_s, rounds, updates):
    return one_after_another_done(workers, mean_s, rounds, updates)[::-1]


test_any_style_passes = passes(exercise.winner, by_numpy, one_after_another_done, of_fractions, as_a_tensor)

test_a_mistake_is_named = refused(
    exercise.winner,
    (seconds_of(lambda n, m, r: r * m), "a round lasts as long as its slowest"),
    (seconds_of(lambda n, m, r: r * m * math.log(n)), "add up 1 + 1/2"),
    (seconds_of(lambda n, m, r: r * m * harmonic(n) / n), "that is for each gradient"),
    (seconds_of(lambda n, m, r: r * m * harmonic(n) * n), "side by side"),
    (seconds_of(the_right_rounds, lambda n, m, u: u * m), "as if one worker did it all"),
    (seconds_of(the_right_rounds, lambda n, m, u: u * m * harmonic(n) / n), "nobody waits for the slowest"),
    (
        seconds_of(the_right_rounds, lambda n, m, u: math.ceil(u / n) * m),
        "time is 113, and 112.875 was asked",
    ),
    (lambda workers, mean_s, rounds, updates: 1.0, "your pair is a float: a list was asked"),
    (the_other_way_round, "the other way round"),
)
