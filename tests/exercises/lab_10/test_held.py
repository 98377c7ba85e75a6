"""What a node of a mesh holds, in any arithmetic."""

from fractions import Fraction

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_10 as exercise


def of_fractions(parameters, shape, micro_batches, stage_bytes):
    return Fraction(16 * parameters, shape[1] * shape[2]) + min(shape[1], micro_batches) * Fraction(
        stage_bytes
    )


def by_numpy(parameters, shape, micro_batches, stage_bytes):
    own = np.float64(parameters) / np.prod(shape[1:])
    return own * np.array([4, 4, 8]).sum() + np.minimum(shape[1], micro_batches) * stage_bytes


def as_a_tensor(parameters, shape, micro_batches, stage_bytes):
    flight = torch.tensor(float(shape[1])).clamp(max=micro_batches).double()
    return torch.tensor(16 * parameters / shape[1] / shape[2], dtype=torch.float64) + flight * stage_bytes


def held(parameters, shape, flight, stage_bytes, cuts, size=16):
    return size * parameters / np.prod(cuts) + flight * stage_bytes


test_any_style_passes = passes(exercise.held, of_fractions, by_numpy, as_a_tensor)

test_a_mistake_is_named = refused(
    exercise.held,
    (lambda p, s, m, b: held(p, s, min(s[1], m), b, s), "along data too"),
    (lambda p, s, m, b: held(p, s, m, b, s[1:]), "as under GPipe"),
    (lambda p, s, m, b: held(p, s, 1, b, s[1:]), "the first stage keeps as many"),
    (lambda p, s, m, b: held(p, s, s[1], b, s[1:]), "more are in flight than there are"),
    (lambda p, s, m, b: held(p, s, min(s[1], m), b, s[1:2]), "along pipeline only"),
    (lambda p, s, m, b: held(p, s, min(s[1], m), b, s[2:]), "along tensor only"),
    (lambda p, s, m, b: held(p, s, min(s[1], m), b, s[1:], size=4), "take 12 more"),
    (lambda p, s, m, b: held(p, s, min(s[1], m), b, s[:2]), "is 3.1471e+10, and 3.91065e+10 was asked"),
    (lambda p, s, m, b: held(p, s, min(s[1], m), b, ()), "is 2.91078e+11, and 3.91065e+10 was asked"),
    (lambda p, s, m, b: held(p, s, 16 * min(s[1], m), b, s[1:]), "is 2.82106e+11, and 3.91065e+10 was asked"),
    (lambda p, s, m, b: 16 * p / s[1] * s[2] + min(s[1], m) * b, "is 1.07826e+11, and 3.91065e+10 was asked"),
    (lambda p, s, m, b: held(p, s, 0, b, s[1:]), "without the activations"),
)
