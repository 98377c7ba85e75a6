"""An all-reduce of two levels: by formula, by the sweeps, and as the cluster prices it."""

import numpy as np
from exercising import passes, refused

import ddl_lab as lab
from ddl_lab.exercises import lab_10 as exercise


def sweep(nodes, nbytes, link):
    return (nodes - 1) * (link[0] + nbytes / nodes / link[1])


def by_sweeps(nbytes, hosts, ranks, inside, between):
    parts = [sweep(ranks, nbytes, inside), *[sweep(hosts, nbytes / ranks, between)] * 2]
    return sum([*parts, sweep(ranks, nbytes, inside)])


def by_numpy(nbytes, hosts, ranks, inside, between):
    latency, rate = np.array([inside, between]).T
    nodes, moved = np.array([ranks, hosts]), np.array([nbytes / ranks, nbytes / ranks / hosts])
    return (2 * (nodes - 1) * (latency + moved / rate)).sum()


def by_messages(nbytes, hosts, ranks, inside, between):
    total = 0.0
    for _ in range(2):
        for _ in range(ranks - 1):
            total += inside[0] + nbytes / (ranks * inside[1])
        for _ in range(hosts - 1):
            total += between[0] + nbytes / (hosts * ranks * between[1])
    return total


def one_flat_ring(nbytes, hosts, ranks, inside, between):
    return 2 * sweep(hosts * ranks, nbytes, between)


def whole_between(nbytes, hosts, ranks, inside, between):
    return 2 * sweep(ranks, nbytes, inside) + 2 * sweep(hosts, nbytes, between)


def links_exchanged(nbytes, hosts, ranks, inside, between):
    return by_sweeps(nbytes, hosts, ranks, between, inside)


def no_gather(nbytes, hosts, ranks, inside, between):
    return sweep(ranks, nbytes, inside) + 2 * sweep(hosts, nbytes / ranks, between)


def one_sweep_between(nbytes, hosts, ranks, inside, between):
    return 2 * sweep(ranks, nbytes, inside) + sweep(hosts, nbytes / ranks, between)


def nothing_from_a_single_rank(nbytes, hosts, ranks, inside, between):
    return by_sweeps(nbytes, hosts, ranks, inside, between) if ranks > 1 else 0.0


test_any_style_passes = passes(exercise.two_levels, by_sweeps, by_numpy, by_messages)

test_a_mistake_is_named = refused(
    exercise.two_levels,
    (one_flat_ring, "one ring around all ranks"),
    (whole_between, "8 times too much to send"),
    (links_exchanged, "the wrong way round"),
    (nothing_from_a_single_rank, "4,000,000 bytes, 5 hosts of 1 ranks"),
    (no_gather, "a reduce-scatter before and an all-gather after"),
    (one_sweep_between, "it is an all-reduce"),
    (lambda *args: by_sweeps(*args) / 2, "one sweep where there are two"),
    (lambda n, h, r, i, b: 2 * sweep(r, n, i), "inside a host only"),
    (lambda n, h, r, i, b: 2 * sweep(h, n / r, b), "between hosts only"),
)


def test_the_answer_is_what_a_cluster_charges():
    gpus = lab.Cluster(
        host_size=8, host_latency_s=3e-6, host_bandwidth_bytes_per_s=300e9,
        latency_s=20e-6, bandwidth_bytes_per_s=25e9, algorithm="two-level",
    )  # fmt: skip
    cost = gpus.cost("all_reduce", 1_024_000_000, 64)
    answer = exercise.two_levels.reference(1_024_000_000, 8, 8, (3e-6, 300e9), (20e-6, 25e9))
    assert abs(cost.seconds / answer - 1) < 1e-9
