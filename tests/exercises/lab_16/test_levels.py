"""Seconds of two levels."""

from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_16 as exercise


def cluster_of(size, inside, between):
    return lab.Cluster(
        algorithm="two-level", host_size=size, host_latency_s=inside[0], host_bandwidth_bytes_per_s=inside[1],
        latency_s=between[0], bandwidth_bytes_per_s=between[1],
    )  # fmt: skip


def with_a_cluster(hosts, size, nbytes, inside, between):
    return cluster_of(size, inside, between).cost("all_reduce", nbytes, hosts * size).seconds


def stage_by_stage(hosts, size, nbytes, inside, between):
    def lap(n, total, link):
        return sum(link[0] + total / n / link[1] for _ in range(n - 1))

    return 2 * lap(size, nbytes, inside) + 2 * lap(hosts, nbytes / size, between)


def latencies_and_bytes(hosts, size, nbytes, inside, between):
    waits = 2 * (size - 1) * inside[0] + 2 * (hosts - 1) * between[0]
    near, far = 2 * (size - 1) / size * nbytes, 2 * (hosts - 1) / hosts * nbytes / size
    return waits + near / inside[1] + far / between[1]


test_any_style_passes = passes(exercise.levels, with_a_cluster, stage_by_stage, latencies_and_bytes)


def rings(m, h, inner, outer, near, far):
    return 2 * (m - 1) * (near[0] + inner / near[1]) + 2 * (h - 1) * (far[0] + outer / far[1])


def returns_nothing(hosts, size, nbytes, inside, between):
    stage_by_stage(hosts, size, nbytes, inside, between)


test_a_mistake_is_named = refused(
    exercise.levels,
    (lambda h, m, s, i, b: rings(m, h, s / m, s / h, i, b), "all of S travels"),
    (lambda h, m, s, i, b: rings(m, h, s / m, s / m, i, b), "a part of the part"),
    (lambda h, m, s, i, b: rings(m, h, s / m / h, s / m / h, i, b), "not S/n"),
    (lambda h, m, s, i, b: rings(m, h * m, s / m, s / m / h, i, b), "there are as many as hosts"),
    (lambda h, m, s, i, b: rings(h * m, h, s / m, s / m / h, i, b), "a host has size of them"),
    (lambda h, m, s, i, b: rings(m, h, s / m, s / m / h, b, i), "the links are the other way round"),
    (lambda h, m, s, i, b: rings(h, m, s / h, s / m / h, i, b), "hosts and ranks a host"),
    (lambda h, m, s, i, b: rings(m, h, s / m, s / m / h, b, b), "slow links for all"),
    (lambda h, m, s, i, b: rings(1, h * m, 0, s / m / h, i, b), "the flat ring"),
    (lambda h, m, s, i, b: rings(m, h, s / m, s / m / h, i, b) / 2, "half of it"),
    (
        lambda h, m, s, i, b: stage_by_stage(h, m, s, i, b) - rings(m, 1, s / m, 0, i, b) / 2,
        "all-gather at the end",
    ),
    (lambda h, m, s, i, b: stage_by_stage(h, m, s, i, b) - rings(1, h, 0, s / m / h, i, b) / 2, "two laps"),
    (returns_nothing, "is there a `return`"),
)
