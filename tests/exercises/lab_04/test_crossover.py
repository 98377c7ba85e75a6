"""Where the ring overtakes the tree: by a formula, or by a search."""

import math
from fractions import Fraction

import numpy as np
from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_04 as exercise


def crossing(rounds, messages, tensors, unit=1.0):
    def crossover(nodes, cluster):
        link = cluster.latency_s * cluster.bandwidth_bytes_per_s
        more, fewer = messages(nodes) - rounds(nodes), rounds(nodes) - tensors(nodes)
        return more / fewer * link * unit if fewer else 0.0

    return crossover


def depth(n):
    return math.ceil(math.log2(n))


def both(n):
    return 2 * depth(n)


def in_seconds(nodes, cluster):
    return crossing(both, steps, chunks)(nodes, cluster) / cluster.bandwidth_bytes_per_s


def steps(n):
    return 2 * (n - 1)


def chunks(n):
    return 2 * (n - 1) / n


in_one_formula = crossing(both, steps, chunks)
in_one_formula.__name__ = "in_one_formula"


def slower_by_the_courses_cost(nodes, cluster, size):
    link = {"latency_s": cluster.latency_s, "bandwidth_bytes_per_s": cluster.bandwidth_bytes_per_s}
    ring, tree = (lab.Cluster(algorithm=name, **link) for name in ("ring", "tree"))
    cost = {"nbytes": size, "nodes": nodes}
    return ring.cost("all_reduce", **cost).seconds >= tree.cost("all_reduce", **cost).seconds


def by_halving_with_the_courses_cost(nodes, cluster):
    low, high = 0, 1 << 40
    while low < high:
        middle = (low + high) // 2
        slower = slower_by_the_courses_cost(nodes, cluster, middle)
        low, high = (middle + 1, high) if slower else (low, middle)
    return low


def of_fractions(nodes, cluster):
    link = Fraction(cluster.latency_s) * Fraction(cluster.bandwidth_bytes_per_s)
    return (steps(nodes) - both(nodes)) * link / (both(nodes) - Fraction(steps(nodes), nodes))


def by_numpys_lines(nodes, cluster):
    beta = 1 / cluster.bandwidth_bytes_per_s
    slopes = np.array([both(nodes), steps(nodes) / nodes]) * beta
    starts = np.array([both(nodes), steps(nodes)]) * cluster.latency_s
    return np.diff(starts)[0] / -np.diff(slopes)[0]


def by_bits(nodes, cluster):
    return int(crossing(lambda n: 2 * (n - 1).bit_length(), steps, chunks)(nodes, cluster))


test_any_style_passes = passes(
    exercise.crossover,
    by_bits,
    in_one_formula,
    by_halving_with_the_courses_cost,
    of_fractions,
    by_numpys_lines,
)

test_a_mistake_is_named = refused(
    exercise.crossover,
    (crossing(lambda n: 2 * round(math.log2(n)), steps, chunks), "for 5 nodes you find"),
    (crossing(depth, steps, chunks), "goes up and down"),
    (crossing(both, steps, steps), "a message of the ring has S/n bytes"),
    (crossing(both, lambda n: n - 1, lambda n: (n - 1) / n), "the ring goes around twice"),
    (crossing(lambda n: 2 * math.log2(n), steps, chunks), "a tree's depth is ⌈log2 n⌉"),
    (crossing(both, steps, chunks, unit=1e-3), "that is in kB"),
    (in_seconds, "that is in seconds"),
    (lambda nodes, cluster: "many", "the size for 8 nodes is a str: a number was asked"),
)
