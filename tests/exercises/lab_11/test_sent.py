"""What a step sends."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_11 as exercise


def dense(n, p):
    return 2 * (n - 1) / n * 4 * p


def sparse(n, k):
    return (n - 1) * 8 * k


def as_a_list_of_whole_numbers(n, p, k):
    return [8 * p * (n - 1) / n, 8 * k * (n - 1)]


def by_the_ring_step_by_step(n, p, k):
    return sum(4 * p / n for _ in range(2 * (n - 1))), sum(8 * k for _ in range(n - 1))


def with_numpy(n, p, k):
    return np.array([2.0 * p, 2 * k * n]) * 4 * (n - 1) / n


def as_a_tensor(n, p, k):
    return torch.tensor([dense(n, p), sparse(n, k)], dtype=torch.float64)


test_any_style_passes = passes(
    exercise.sent, as_a_list_of_whole_numbers, by_the_ring_step_by_step, with_numpy, as_a_tensor
)

test_a_mistake_is_named = refused(
    exercise.sent,
    (lambda n, p, k: (dense(n, p), sparse(n, k) / 2), "you forgot the places"),
    (lambda n, p, k: (dense(n, p), sparse(n, k) * 1.5), "are 4 bytes each"),
    (lambda n, p, k: (dense(n, p), dense(n, 2 * k)), "as if places and values could be reduced"),
    (lambda n, p, k: (dense(n, p), 8 * n * k), "hands on n − 1 parts"),
    (lambda n, p, k: (dense(n, p), 8 * k), "what it would be with two nodes"),
    (lambda n, p, k: (4 * p, sparse(n, k)), "a ring sends it almost twice"),
    (lambda n, p, k: (dense(n, p) / 2, sparse(n, k)), "reduce-scatter and all-gather"),
    (lambda n, p, k: (8 * p, sparse(n, k)), "2 (n − 1)/n of S"),
    (lambda n, p, k: (n * dense(n, p), sparse(n, k)), "one node's were asked"),
    (lambda n, p, k: (dense(n, p) / 4, sparse(n, k)), "a float32 has 4 bytes"),
    (lambda n, p, k: (8 * dense(n, p), 8 * sparse(n, k)), "was asked: 8 times what was asked"),
    (lambda n, p, k: (sparse(n, k), dense(n, p)), "the other way round"),
    (lambda n, p, k: dense(n, p), "a list was asked"),
)
