"""Cheap and dear messages: the fastest of all counts, in any order, and what the answer says of them."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_00 as exercise
from ddl_lab.exercises.lab_00.fastest import _halving


def times(worker, counts, **cluster):
    return {n: lab.simulate(worker, n, cluster=lab.Cluster(**cluster)).elapsed_s for n in counts}


def best(found):
    return min(found, key=found.get)


def until_it_rises(worker, latency_s, counts):
    found = times(worker, counts, latency_s=latency_s)
    for here, after in pairwise(counts):
        if found[after] > found[here]:
            return here
    return counts[-1]


def by_a_loop(worker, latency_s, counts):
    fastest, shortest_s = None, math.inf
    for n in counts:
        took_s = times(worker, [n], latency_s=latency_s)[n]
        if took_s < shortest_s:
            fastest, shortest_s = n, took_s
    return fastest


def by_argmin(worker, latency_s, counts):
    return np.array(counts)[np.argmin(list(times(worker, counts, latency_s=latency_s).values()))]


def by_a_column(worker, latency_s, counts):
    return pd.Series(times(worker, counts, latency_s=latency_s)).idxmin()


def by_a_tensor(worker, latency_s, counts):
    took_s = torch.tensor(list(times(worker, counts, latency_s=latency_s).values()))
    return torch.tensor(counts)[took_s.argmin()]


def fewest_node_seconds(worker, latency_s, counts):
    return min(counts, key=lambda n: n * times(worker, [n], latency_s=latency_s)[n])


def down_into_the_first_valley(worker, latency_s, counts):
    """Right where the times fall and then rise."""
    return until_it_rises(worker, latency_s, sorted(counts))


def the_lowest_of_all_that_halve(worker, latency_s, counts):
    """As if it were the worker of the first cases."""
    return best(times(_halving, counts, latency_s=latency_s))


def sorts_the_counts(worker, latency_s, counts):
    counts.sort(key=lambda n: times(worker, [n], latency_s=latency_s)[n])
    return counts[0]


def by_sorted(worker, latency_s, counts):
    return float(sorted(counts, key=lambda n: times(worker, [n], latency_s=latency_s)[n])[0])


test_the_fastest_is_right_however_it_is_found = passes(
    exercise.fastest, by_sorted, by_a_loop, by_argmin, by_a_column, by_a_tensor
)

test_a_mistake_is_named = refused(
    exercise.fastest,
    (sorts_the_counts, "changes its argument counts"),
    (the_lowest_of_all_that_halve, "48 of (64, 48, 24, 32) nodes are the fastest; you say 64"),
    (down_into_the_first_valley, "you stop at 24 nodes, after which more of [24, 32, 48, 64]"),
    (lambda w, s, c: best(times(w, c)), "you found the fastest at the usual 50 µs"),
    (lambda w, s, c: min(times(w, c, latency_s=s).values()), "a time: the number of nodes"),
    (lambda w, s, c: c.index(best(times(w, c, latency_s=s))), "a place in the list of counts"),
    (lambda w, s, c: max(t := times(w, c, latency_s=s), key=t.get), "take longest: `min`, not `max`"),
    (until_it_rises, "you stop where more time is needed for the first time, at 8 nodes of [8, 2, 128, 16]"),
    (fewest_node_seconds, "fewest seconds times nodes"),
    (lambda w, s, c: 1000, "which is none of the counts"),
    (lambda w, s, c: print(end=""), "is None: is there a `return`"),
)


def test_the_answers_docstring_tells_what_running_it_gives():
    """ "64 at 5 µs, 16 at 50 µs, 8 at 500 µs", for lab 00's `train` of one epoch."""
    digits = lab.load_digits()

    def train(node):
        model = lab.make_model(seed=0)
        for x, y in lab.batches(digits.train, node, batch_size=math.ceil(500 / node.world_size)):
            with node.compute(samples=len(x)):
                gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
            node.all_reduce(gradient, op="mean")
            lab.sgd_step(model, gradient, lr=0.1)

    fastest = exercise.fastest.reference
    assert [fastest(train, latency_s, (8, 16, 64)) for latency_s in (5e-6, 50e-6, 500e-6)] == [64, 16, 8]
