"""A step that knows how stale it is."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_07 as exercise


def step_by(rate):
    def aware_step(theta, gradient, read, version, lr):
        return theta - rate(lr, version - read, version) * gradient

    return aware_step


def at_the_examples_rate(theta, gradient, read, version, lr):
    return theta - 0.2 / max(version - read, 1) * gradient


def without_fresh_ones(theta, gradient, read, version, lr):
    return theta - lr / (version - read) * gradient if version > read else theta


def by_what_was_read(theta, gradient, read, version, lr):
    return theta - lr / max(read, 1) * gradient


def in_place(theta, gradient, read, version, lr):
    theta -= lr / max(version - read, 1) * gradient
    return theta


def by_a_case(theta, gradient, read, version, lr):
    return theta - lr * gradient if version == read else theta - lr / (version - read) * gradient


def by_subtraction(theta, gradient, read, version, lr):
    return theta.clone().sub_(gradient, alpha=lr / max(1, version - read))


def by_a_loop(theta, gradient, read, version, lr):
    rate = lr / ((version - read) or 1)
    return torch.tensor([x - rate * g for x, g in zip(theta.tolist(), gradient.tolist(), strict=True)])


def by_a_clamped_tensor(theta, gradient, read, version, lr):
    return torch.addcdiv(theta, gradient, torch.tensor(version - read).clamp(min=1), value=-lr)


test_any_style_passes = passes(exercise.aware, by_a_case, by_subtraction, by_a_loop, by_a_clamped_tensor)

test_a_mistake_is_named = refused(
    exercise.aware,
    (step_by(lambda lr, s, v: lr / s), "a fresh gradient has staleness 0"),
    (step_by(lambda lr, s, v: lr / (s + 1)), "lr / (τ + 1) with you"),
    (step_by(lambda lr, s, v: lr), "counts fully with you"),
    (step_by(lambda lr, s, v: lr * s), "so the stalest count most"),
    (step_by(lambda lr, s, v: lr / max(v, 1)), "you divided by the version"),
    (step_by(lambda lr, s, v: -lr / max(s, 1)), "you went uphill"),
    (at_the_examples_rate, "a gradient of version 3 applied at version 4 differs"),
    (without_fresh_ones, "a gradient of version 3 applied at version 3 doesn't count at all with you"),
    (by_what_was_read, "you divided by the version that was read"),
    (in_place, "changes its argument theta"),
)
