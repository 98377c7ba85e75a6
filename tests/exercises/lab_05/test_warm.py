"""A warm-up: from eta to k * eta by equal amounts, and at once without one."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_05 as exercise


def from_nothing(step, k, eta, over):
    return k * eta * min(1, step / over) if over else k * eta


def without_end(step, k, eta, over):
    return eta + (k - 1) * eta * step / over if over else k * eta


def at_once(step, k, eta, over):
    return k * eta


def never(step, k, eta, over):
    return eta


def divides_by_nothing(step, k, eta, over):
    return eta + (k - 1) * eta * min(1, step / over)


def a_step_early(step, k, eta, over):
    return eta + (k - 1) * eta * min(1, (step + 1) / over) if over else k * eta


def a_step_late(step, k, eta, over):
    return eta + (k - 1) * eta * min(1, step / (over + 1)) if over else k * eta


def by_k_more(step, k, eta, over):
    return eta + k * eta * min(1, step / over) if over else k * eta


def by_equal_factors(step, k, eta, over):
    return eta * k ** min(1, step / over) if over else k * eta


def divides_numpys_nothing(step, k, eta, over):
    return divides_by_nothing(np.float64(step), k, eta, np.float64(over)) if over else np.float64("nan")


def by_interpolation(step, k, eta, over):
    return np.interp(step, [0, over], [eta, k * eta]) if over else k * eta


def by_lerp(step, k, eta, over):
    share = torch.tensor(1.0 if step >= over else step / over, dtype=torch.float64)
    return torch.lerp(torch.tensor(eta).double(), torch.tensor(k * eta).double(), share)


def by_adding_up(step, k, eta, over):
    rate = eta if over else k * eta
    for _ in range(min(step, over)):
        rate += (k - 1) * eta / over
    return rate


def by_the_lower_of_two(step, k, eta, over):
    return min(k * eta, eta + (k - 1) * eta / max(over, 0.5) * (step if over else 1))


def by_steps_a_node(step, k, eta, over):
    return k * eta if step >= over else eta * (1 + step / (over / (k - 1)))


def from_the_end(step, k, eta, over):
    return np.float32(k * eta - (k - 1) * eta * max(over - step, 0) / max(over, 1))


def in_whole_warm_ups(step, k, eta, over):
    return k * eta if step >= over else eta + (k - 1) * eta * (step // over)


test_any_style_passes = passes(
    exercise.warm, from_the_end, by_interpolation, by_lerp, by_adding_up, by_the_lower_of_two
)

test_a_mistake_is_named = refused(
    exercise.warm,
    (
        in_whole_warm_ups,
        "the rate of step 1 is 0.1, and 0.135 was asked: eta is for the batch of one node, and",
    ),
    (by_steps_a_node, "your code raised ZeroDivisionError"),
    (from_nothing, "begins at eta, not at 0"),
    (without_end, "goes on growing"),
    (at_once, "where is the warm-up?"),
    (never, "eta is for the batch of one node"),
    (divides_by_nothing, "divides by over = 0"),
    (a_step_early, "one step early"),
    (a_step_late, "one step late"),
    (by_k_more, "grows by (k - 1) * eta"),
    (by_equal_factors, "by equal amounts was asked"),
    (divides_numpys_nothing, "divides by over = 0"),
)
