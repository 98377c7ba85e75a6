"""A whole checkpoint."""

import copy

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_14 as exercise


def right(theta, velocity, step, /, **other):
    parts = {"theta": theta.clone(), "velocity": velocity.clone(), "next": step + 1}
    return parts | {"chance": torch.get_rng_state()} | other


def by_detached_copies(theta, velocity, step):
    copies = [torch.tensor(part.tolist()) for part in (theta, velocity)]
    names = ("theta", "velocity", "next", "chance")
    return dict(zip(names, (*copies, 1 + step, torch.random.get_rng_state()), strict=True))


def by_concatenating(theta, velocity, step):
    both = torch.cat([theta, velocity])
    return {
        "theta": both[: len(theta)].contiguous(),
        "velocity": both[len(theta) :].contiguous(),
        "next": torch.tensor(step) + 1,
        "chance": torch.default_generator.get_state(),
    }


def with_more_in_it(theta, velocity, step):
    chance = torch.empty_like(torch.get_rng_state()).copy_(torch.get_rng_state())
    both = {"theta": theta + 0, "velocity": velocity * 1}
    return {**both, "chance": chance, "next": step + 1, "what": "lab 14", "seed": torch.initial_seed()}


test_any_style_passes = passes(exercise.whole, right, by_detached_copies, by_concatenating, with_more_in_it)


def without(*keys):
    def answer(theta, velocity, step):
        return {key: part for key, part in right(theta, velocity, step).items() if key not in keys}

    return answer


def seeds(theta, velocity, step):
    torch.manual_seed(0)
    return right(theta, velocity, step)


def draws(theta, velocity, step):
    return right(theta, velocity, step, salt=torch.rand(1))


def deep(theta, velocity, step):
    return right(theta, velocity, step, theta=copy.deepcopy(theta))


def forgets_to_return(theta, velocity, step):
    right(theta, velocity, step)


def zeroes(theta, velocity, step):
    state = right(theta, velocity, step)
    velocity.zero_()
    return state


test_a_mistake_is_named = refused(
    exercise.whole,
    (without("chance"), "your checkpoint has no chance"),
    (without("velocity", "next"), "no velocity and no next"),
    (
        lambda theta, velocity, step: right(theta, velocity, step, velocity=velocity),
        "bytes: velocity is a part",
    ),
    (lambda theta, velocity, step: right(theta, velocity, step, theta=theta.numpy()), "_reconstruct is in"),
    (deep, "bytes: theta is a part"),
    (lambda theta, velocity, step: right(theta, velocity, step, next=step), "that step is done"),
    (lambda theta, velocity, step: right(theta, velocity, step, next=step + 2), "after step 29 comes 30"),
    (
        lambda theta, velocity, step: right(theta, velocity, step, chance=torch.initial_seed()),
        "a seed only tells",
    ),
    (lambda theta, velocity, step: right(theta, velocity, step, velocity=velocity * 0), "isn't what it was"),
    (seeds, "moves torch's random numbers on"),
    (draws, "moves torch's random numbers on"),
    (zeroes, "changes theta or velocity"),
    (forgets_to_return, "is there a `return`"),
    (lambda theta, velocity, step: [theta, velocity, step], "a dict was asked"),
)
