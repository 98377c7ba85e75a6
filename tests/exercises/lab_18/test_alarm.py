"""An alarm that noise can't set off."""

import math

import numpy as np
from exercising import passes, refused

from ddl_lab.exercises import lab_18 as exercise


def by_a_running_sum(right, batch):
    """Page's test: what is lost against the level before, less an allowance, adds up."""
    level, lost = 0.0, 0.0
    for t, hits in enumerate(right):
        share = hits / batch
        if t >= 50:
            lost = max(0.0, lost + level - share - 0.1)
            if lost > 1.2 / math.sqrt(batch / 16):
                return t
        level += (share - level) / min(t + 1, 50) * (lost == 0 or t < 50)
    return None


def with_numpy(right, batch):
    shares = np.array(right) / batch
    for t in range(60, len(shares)):
        before, recent = shares[t - 40 : t - 12], shares[t - 12 : t + 1]
        pooled = np.clip(shares[t - 40 : t + 1].mean(), 0.02, 0.98)
        scatter = math.sqrt(pooled * (1 - pooled) / batch * (1 / len(before) + 1 / len(recent)))
        if (before.mean() - recent.mean()) / scatter > 4.8:
            return t
    return None


def by_the_likelihood(right, batch):
    """How much likelier the last 15 steps are at a share that is a fifth lower, in nats."""
    for t in range(65, len(right)):
        p = min(sum(right[t - 65 : t - 15]) / (50 * batch), 0.99)
        q = p - 0.2
        hits = sum(right[t - 14 : t + 1])
        misses = 15 * batch - hits
        if hits * math.log(q / p) + misses * math.log((1 - q) / (1 - p)) > 8:
            return t
    return None


def three_bad_tens(right, batch):
    """A mean of ten steps, three times in a row far below the best mean of fifty."""
    best, bad = 0.0, 0
    for t in range(50, len(right)):
        best = max(best, sum(right[t - 50 : t]) / 50 / batch)
        mean = sum(right[t - 9 : t + 1]) / 10 / batch
        bad = bad + 1 if mean < best - 0.16 else 0
        if bad == 3:
            return t


test_any_style_passes = passes(
    exercise.alarm, by_a_running_sum, with_numpy, by_the_likelihood, three_bad_tens
)


def firing(sounds, start=1):
    def answer(right, batch):
        return next((t for t in range(start, len(right)) if sounds(right, batch, t)), None)

    return answer


def mean(values):
    return sum(values) / len(values)


def two_sigma(right, batch, t):
    level = mean(right[max(0, t - 50) : t]) / batch
    return right[t] / batch < level - 2 * math.sqrt(level * (1 - level) / batch)


def without_batch(right, batch, t):
    return mean(right[t - 4 : t + 1]) / batch < mean(right[t - 49 : t - 4]) / batch - 0.11


def either_way(right, batch, t):
    recent, before = mean(right[t - 9 : t + 1]) / batch, mean(right[: t - 9]) / batch
    return abs(recent - before) > 5 * math.sqrt(before * (1 - before) / 10 / batch)


def one_step_far_down(right, batch, t):
    return right[t] / batch < mean(right[t - 50 : t]) / batch - 0.55


def slow(right, batch, t):
    return mean(right[t - 99 : t + 1]) / batch < mean(right[50:100]) / batch - 0.12


def where_it_began(right, batch):
    found = exercise.alarm.reference(right, batch)
    return None if found is None else found - 8


def knowing_the_end(right, batch):
    level, end = mean(right[50:100]) / batch, mean(right[-40:]) / batch
    if level - end < 0.15:
        return None
    middle = (level + end) / 2
    return next(t for t in range(100, len(right)) if mean(right[t - 7 : t + 1]) / batch < middle)


def counting_from_1(right, batch):
    found = exercise.alarm.reference(right, batch)
    return None if found is None else float(found)


test_a_mistake_is_named = refused(
    exercise.alarm,
    (firing(lambda r, b, t: r[t] < r[t - 1]), "worse than the one before, as every other step is"),
    (firing(lambda r, b, t: r[t] < mean(r[:t])), "worse than the mean before"),
    (firing(lambda r, b, t: r[t] < max(r[:t])), "worse than the one before"),
    (firing(lambda r, b, t: r[t] / b < 0.6, 50), "compare with the stream's own level"),
    (firing(two_sigma, 50), "are that low by chance"),
    (firing(without_batch, 100), "none at 64; a share of 0.9 scatters by 0.075 of 16"),
    (firing(either_way, 15), "there the net still learns. A rise is no fall"),
    (lambda right, batch: right and None, "it never sounds"),
    (firing(one_step_far_down, 60), "of them are by a quarter"),
    (firing(slow, 150), "steps on"),
    (where_it_began, "tells when the fall began"),
    (knowing_the_end, "It knows of later steps"),
    (counting_from_1, "a whole number (int) was asked"),
    (lambda right, batch: len(right), "you return 300, and its steps are 0 to 299"),
)
