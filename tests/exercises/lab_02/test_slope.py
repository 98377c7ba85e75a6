"""The slope in the logits, for logits of any size."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_02 as exercise

sigmoid = torch.sigmoid


def slope_by_division(z, y):
    p = torch.sigmoid(z)
    return -(y / p - (1 - y) / (1 - p)) * p * (1 - p) / len(y)


def by_exp_over_one_plus_exp(z, y):
    return (z.exp() / (1 + z.exp()) - y) / len(y)


def by_where(z, y):
    return torch.where(y > 0.5, -torch.sigmoid(-z), torch.sigmoid(z)) / z.shape[0]


def by_autograd(z, y):
    z = z.clone().requires_grad_()
    return torch.autograd.grad(torch.nn.functional.binary_cross_entropy_with_logits(z, y), z)[0]


def by_a_loop(z, y):
    rows = [1 / (1 + torch.exp(-logit)) - label for logit, label in zip(z, y, strict=True)]
    return torch.stack(rows) / len(rows)


def by_the_odds(z, y):
    p = torch.sigmoid(z)
    return torch.where(y > 0.5, p - 1, p / (1 - p) * (1 - p)) / len(y)


def by_tanh(z, y):
    return ((1 + torch.tanh(z.double() / 2)) / 2 - y) / y.numel()


def over_the_odds_of_ones(z, y):
    p = torch.sigmoid(z)
    return torch.where(y > 0.5, (p - y) / p * p, p) / len(y)


test_any_style_passes = passes(exercise.slope, by_tanh, by_where, by_autograd, by_a_loop)

test_a_mistake_is_named = refused(
    exercise.slope,
    (over_the_odds_of_ones, "at the logit −200 your slope is nan"),
    (by_the_odds, "or a division by 1 − ŷ, which is 0"),
    (lambda z, y: sigmoid(z) - y, "8 times too large, and 8 is the number of digits"),
    (lambda z, y: (y - sigmoid(z)) / len(y), "wrong sign"),
    (lambda z, y: (z - y) / len(y), "ŷ is sigmoid"),
    (lambda z, y: ((sigmoid(z) - y) / len(y)).sum(), "a slope of its own: shape (8, 1)"),
    (lambda z, y: (sigmoid(z) - y) * sigmoid(z) * (1 - sigmoid(z)) / len(y), "cancelled out"),
    (lambda z, y: (sigmoid(z) - y) / (sigmoid(z) * (1 - sigmoid(z))) / len(y), "slope in ŷ"),
    (slope_by_division, "200 and −200"),
    (lambda z, y: [0.0] * 8, "a tensor of shape (8, 1) was asked"),
    (by_exp_over_one_plus_exp, "inf / inf in it, as exp(200) is inf in float32"),
)
