"""Backward through ReLU, with slope 0 at 0."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_02 as exercise


def by_where(dh, a):
    return torch.where(a > 0, dh, 0.0)


def by_autograd(dh, a):
    a = a.clone().requires_grad_()
    return torch.autograd.grad(a.relu(), a, dh)[0]


def by_filling(dh, a):
    return dh.masked_fill(a <= 0, 0)


def by_a_loop(dh, a):
    pairs = zip(dh.flatten().tolist(), a.flatten().tolist(), strict=True)
    return torch.tensor([slope if at > 0 else 0.0 for slope, at in pairs]).view_as(dh)


def by_the_sign(dh, a):
    return dh.double() * a.sign().relu()


test_any_style_passes = passes(exercise.relu, by_the_sign, by_where, by_autograd, by_filling, by_a_loop)

test_a_mistake_is_named = refused(
    exercise.relu,
    (lambda dh, a: dh.relu() * (a > 0), "the result differs"),
    (lambda dh, a: dh * a.relu() / a, "your result is nan, by 0 / 0"),
    (lambda dh, a: dh * (dh > 0), "mask looks at dh"),
    (lambda dh, a: dh * a.relu(), "not by its slope"),
    (lambda dh, a: (a > 0).float(), "mask alone"),
    (lambda dh, a: dh * (a < 0), "upside down"),
    (lambda dh, a: dh, "let everything pass"),
    (lambda dh, a: dh * (a >= 0), "a > 0, not a >= 0"),
)
