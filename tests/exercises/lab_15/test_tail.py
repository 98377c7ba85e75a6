"""The slowest requests."""

import math

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_15 as exercise


def together(latencies):
    return sorted(ms for client in latencies for ms in client)


def own(client, share):
    return sorted(client)[math.ceil(share * len(client)) - 1]


def by_counting(latencies, share):
    every = together(latencies)
    return next(ms for ms in every if sum(other <= ms for other in every) >= share * len(every))


def with_numpy(latencies, share):
    return np.quantile(np.concatenate(latencies), share, method="inverted_cdf")


def with_torch(latencies, share):
    every = torch.cat([torch.tensor(client, dtype=torch.float64) for client in latencies])
    return every.kthvalue(math.ceil(share * len(every))).values


def by_popping(latencies, share):
    every = together(latencies)
    slower = len(every) - math.ceil(share * len(every))
    for _ in range(slower):
        every.remove(max(every))
    return max(every)


test_any_style_passes = passes(exercise.tail, by_counting, with_numpy, with_torch, by_popping)


def of_a_set(latencies, share):
    return own({ms for client in latencies for ms in client}, share)


def by_counting_the_faster(latencies, share):
    every = together(latencies)
    return next(ms for ms in every if sum(other < ms for other in every) >= share * len(every) - 1)


test_a_mistake_is_named = refused(
    exercise.tail,
    (lambda ms, s: sum(own(c, s) for c in ms) / len(ms), "few slow requests of one client weigh as much"),
    (lambda ms, s: sum(np.quantile(c, s) for c in ms) / len(ms), "a mean of what each client sees"),
    (lambda ms, s: max(own(c, s) for c in ms), "the worst client's"),
    (lambda ms, s: max(together(ms)), "the slowest of all"),
    (lambda ms, s: sum(together(ms)) / len(together(ms)), "that is the mean"),
    (lambda ms, s: own([-one for one in together(ms)], s) * -1, "you sorted the slowest first"),
    (lambda ms, s: np.quantile(together(ms), s), "lies between two requests"),
    (lambda ms, s: together(ms)[min(int(s * len(together(ms))), len(together(ms)) - 1)], "one too far"),
    (lambda ms, s: together(ms)[round(s * len(together(ms))) - 1], "rounded to the nearest"),
    (by_counting_the_faster, "your number is 6, and 5 was asked"),
    (of_a_set, "you count equal latencies once"),
    (lambda ms, s: {}.get(s), "is there a `return`"),
)
