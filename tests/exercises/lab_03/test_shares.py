"""Shares by speed: whole, less than one digit off, and together the batch."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_03 as exercise


def rounded(speeds, batch):
    return [round(batch * speed / sum(speeds)) for speed in speeds]


def rest_to_one(speeds, batch):
    counts = [int(batch * speed / sum(speeds)) for speed in speeds]
    return [counts[0] + batch - sum(counts), *counts[1:]]


def equal(speeds, batch):
    base, rest = divmod(batch, len(speeds))
    return [base + (i < rest) for i in range(len(speeds))]


def turned_round(speeds, batch):
    return exercise.shares.reference([1 / speed for speed in speeds], batch)


def rounded_and_the_rest_to_rank_0(speeds, batch):
    counts = rounded(speeds, batch)
    return [counts[0] + batch - sum(counts), *counts[1:]]


def between_rounded_sums(speeds, batch):
    ends = [round(batch * sum(speeds[: i + 1]) / sum(speeds)) for i in range(len(speeds))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def by_numpy(speeds, batch):
    ideal = batch * np.array(speeds) / sum(speeds)
    counts = np.floor(ideal).astype(int)
    counts[np.argsort(counts - ideal)[: batch - counts.sum()]] += 1
    return counts


def a_list_of_numpys_integers(speeds, batch):
    return list(by_numpy(speeds, batch))


def the_rest_one_by_one_from_rank_0(speeds, batch):
    counts = [int(batch * speed / sum(speeds)) for speed in speeds]
    for rank in range(batch - sum(counts)):
        counts[rank] += 1
    return counts


def for_nodes_in_order_of_speed(speeds, batch):
    return exercise.shares.reference(sorted(speeds, reverse=True), batch)


def as_a_tensor(speeds, batch):
    return torch.tensor(between_rounded_sums(speeds, batch))


test_any_style_passes = passes(
    exercise.shares,
    between_rounded_sums,
    by_numpy,
    a_list_of_numpys_integers,
    as_a_tensor,
)

test_a_mistake_is_named = refused(
    exercise.shares,
    (rounded, "add up to 513"),
    (rest_to_one, "rank 0 has 110, its fair share is 105.57"),
    (equal, "all would wait for the slowest"),
    (turned_round, "the faster a node, the smaller its share"),
    (lambda v, b: [b * s / sum(v) for s in v], "there are no parts of digits"),
    (lambda v, b: [b], "a list of 2 whole numbers"),
    (
        the_rest_one_by_one_from_rank_0,
        "rank 0 has 4, its fair share is 3.00: hand out what rounding left over",
    ),
    (for_nodes_in_order_of_speed, "the faster a node, the smaller its share"),
    (rounded_and_the_rest_to_rank_0, "you round each share and let one node carry"),
)
