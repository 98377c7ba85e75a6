"""A picture in a gradient."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_12 as exercise


def the_first_that_is_active(weight, bias):
    unit = bias.nonzero()[0].item()
    return weight[unit] / bias[unit]


def by_least_squares(weight, bias):
    return bias @ weight / (bias @ bias)


def the_mean_of_the_active(weight, bias):
    active = bias != 0
    return (weight[active] / bias[active, None]).mean(0)


def the_largest_row(weight, bias):
    unit = weight.norm(dim=1).argmax()
    return torch.einsum("p,->p", weight[unit], 1 / bias[unit])


test_any_style_passes = passes(
    exercise.picture, the_first_that_is_active, by_least_squares, the_mean_of_the_active, the_largest_row
)


def unit_of(bias):
    return bias.abs().argmax()


def by_its_largest_pixel(weight, bias):
    row = weight[unit_of(bias)].abs()
    return row / row.max()


def forgets_to_return(w, b):
    rest = w[0]
    rest * 2


test_a_mistake_is_named = refused(
    exercise.picture,
    (lambda w, b: w[unit_of(b)], "that is a row of the gradient"),
    (lambda w, b: w[unit_of(b)] * b[unit_of(b)], "multiplied by the bias's gradient"),
    (lambda w, b: w[unit_of(b)] / w[unit_of(b)].norm(), "divide by the length of the row"),
    (by_its_largest_pixel, "not every digit has one of 1"),
    (lambda w, b: (w / b[:, None]).mean(0), "0 / 0 is no number"),
    (lambda w, b: w[b.abs().argmin()] / b[b.abs().argmin()], "0 / 0 is no number"),
    (lambda w, b: w.sum(0), "the sum of all rows"),
    (lambda w, b: w.mean(0), "the mean of all rows"),
    (lambda w, b: (w / b[:, None]).nansum(0), "one of them is enough"),
    (lambda w, b: w / b[:, None], "has shape"),
    (forgets_to_return, "is there a `return`"),
)
