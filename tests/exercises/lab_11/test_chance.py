"""Rounding that is right on average."""

import math

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_11 as exercise


def by_adding_the_chance(values, chance):
    return (values + chance).floor()


def by_size_and_sign(values, chance):
    return values.sign() * (values.abs() + chance).floor()


def by_a_loop(values, chance):
    rounded = []
    for x, u in zip(values.tolist(), chance.tolist(), strict=True):
        rounded.append(math.floor(x) + (1 if u < x - math.floor(x) else 0))
    return torch.tensor(rounded)


def by_going_down(values, chance):
    return values.ceil() - (chance < values.ceil() - values).int()


def by_the_chance_to_stay(values, chance):
    return torch.where(1 - chance <= values.remainder(1), values.ceil(), values.floor()).double()


test_any_style_passes = passes(
    exercise.chance,
    by_adding_the_chance,
    by_size_and_sign,
    by_a_loop,
    by_going_down,
    by_the_chance_to_stay,
)

test_a_mistake_is_named = refused(
    exercise.chance,
    (lambda x, u: x.round(), "you always round to the nearest"),
    (lambda x, u: x.floor(), "you always round down"),
    (lambda x, u: x.ceil(), "you always round up"),
    (lambda x, u: torch.where(u < 0.5, x.floor(), x.ceil()), "equally likely"),
    (lambda x, u: torch.where(u < x - x.floor(), x.floor(), x.ceil()), "the wrong way round"),
    (lambda x, u: x.floor() + (u[0] < x - x.floor()), "where all entries have that chance"),
    (lambda x, u: x.floor() + (u.flip(0) < x - x.floor()), "where all entries have that chance"),
    (lambda x, u: x.floor() + (u.mean() < x - x.floor()), "where all entries have that chance"),
    (lambda x, u: x.floor() + (u <= x - x.floor()), "0 becomes 1 at a chance of 0: a whole number stays"),
    (
        lambda x, u: (x + u - 0.5).round(),
        "3 becomes 2 at a chance of 0: a whole number stays",
    ),  # halves go to even ones
    (lambda x, u: (x + u).trunc(), "int() and trunc go towards zero"),
    (lambda x, u: x + u - 0.5, "a whole number was asked"),
    (lambda x, u: x.floor() + 2 * (u < x - x.floor()), "neighbours was asked"),
    (lambda x, u: x.floor() + 1, "a whole number stays as it is"),
)
