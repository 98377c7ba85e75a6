"""The loss from logits: exact on both sides, of no ready-made loss, as a tensor."""

import math

import numpy as np
import torch
from exercising import passes, refused
from torch.nn import functional

from ddl_lab.exercises import lab_01 as exercise


def naive(z, y):
    p = torch.sigmoid(z)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def assert_same(z, y):
    if z.shape != y.shape:
        raise ValueError("shapes")


def right(z, y):
    assert_same(z, y)
    return torch.log1p(torch.exp(-z.abs())).mean() + (z.relu() - z * y).mean()


def shaped(loss):
    """``loss`` that refuses other shapes, so that only its own mistake is left."""

    def answer(z, y):
        assert_same(z, y)
        return loss(z, y)

    return answer


def clamped(z, y):
    p = torch.sigmoid(z)
    return -(y * p.log().clamp(min=-100) + (1 - y) * (1 - p).log().clamp(min=-100)).mean()


def asserted(z, y):
    assert z.shape == y.shape
    return right(z, y)


def in_two_means(z, y):
    return right(z, y)


def by_softplus_of_each_side(z, y):
    assert_same(z, y)
    return (y * functional.softplus(-z) + (1 - y) * functional.softplus(z)).mean()


def by_logsigmoid(z, y):
    if z.shape != y.shape:
        raise ValueError(f"{z.shape} and {y.shape}")
    return -(y * functional.logsigmoid(z) + (1 - y) * functional.logsigmoid(-z)).sum() / len(z)


def by_logaddexp_where(z, y):
    assert_same(z, y)
    zero = torch.zeros_like(z)
    return torch.where(y > 0.5, torch.logaddexp(zero, -z), torch.logaddexp(zero, z)).mean()


def by_a_loop(z, y):
    assert_same(z, y)
    total = 0.0
    for logit, target in zip(z.flatten().tolist(), y.flatten().tolist(), strict=True):
        total += max(logit, 0) - logit * target + math.log1p(math.exp(-abs(logit)))
    return torch.tensor(total / len(z))


def shaped_by(differ):
    """Right, but for what it takes for a difference of shapes."""

    def answer(z, y):
        if differ(z, y):
            raise ValueError
        return torch.log1p(torch.exp(-z.abs())).mean() + (z.relu() - z * y).mean()

    return answer


def by_numpys_logaddexp(z, y):
    if list(z.shape) != list(y.shape):
        raise ValueError("shapes")
    z, y = z.double().numpy(), y.numpy()
    return torch.tensor(np.logaddexp(0, np.where(y > 0.5, -z, z)).mean())


def by_the_logarithm_of_a_sigmoid(z, y):
    return (-y * torch.sigmoid(z).log() + (1 - y) * functional.softplus(z)).mean()


def by_it_above_minus_80(z, y):
    of_ones = torch.where(z < -80, -z, -torch.sigmoid(z).log())
    return torch.where(y > 0.5, of_ones, functional.softplus(z)).mean()


test_any_style_passes = passes(
    exercise.stable,
    by_numpys_logaddexp,
    in_two_means,
    by_softplus_of_each_side,
    by_logsigmoid,
    by_logaddexp_where,
    by_a_loop,
)

test_a_mistake_is_named = refused(
    exercise.stable,
    (shaped(by_it_above_minus_80), "nor does log ŷ, as ŷ is exactly 1"),
    (shaped(by_the_logarithm_of_a_sigmoid), "or ŷ has become exactly 0"),
    (lambda z, y: right(z, y).expand(1), "the loss has shape (1,): a tensor of no dimension was asked"),
    (
        shaped_by(lambda z, y: y.dim() < 2 or len(z) != len(y)),
        "(8, 1) against (8, 2) broadcasts to 16 losses",
    ),
    (shaped_by(lambda z, y: z.shape[1:] != y.shape[1:]), "(8, 1) against (1, 1) broadcasts to 8 losses"),
    (shaped_by(lambda z, y: z.dim() != y.dim()), "(8, 1) against (1, 1) broadcasts to 8 losses"),
    (naive, "logit 20, label 0, float32 your loss is inf: ŷ has become exactly 1"),
    (lambda z, y: right(z, y) * len(z), "8 times too large, for 8 samples"),
    (lambda z, y: right(z, y) / math.log(2), "in bits"),
    (lambda z, y: right(z, 1 - y), "the other way round"),
    (lambda z, y: -right(z, y), "wrong sign"),
    (lambda z, y: -(y * torch.sigmoid(z).log()).mean(), "the zeros pay nothing"),
    (lambda z, y: torch.log(1 + torch.exp(z)).mean(), "− z · y is missing"),
    (shaped(lambda z, y: (torch.log(1 + torch.exp(z)) - z * y).mean()), "exp of a number above 88"),
    (shaped(clamped), "a clamp hides"),
    (shaped(lambda z, y: functional.binary_cross_entropy(torch.sigmoid(z), y)), "is torch's ready-made loss"),
    (
        shaped(lambda z, y: (z.clamp(min=0) - z * y + torch.log(1 + torch.exp(-z.abs()))).mean()),
        "use log1p",
    ),
    (
        lambda z, y: (z.clamp(min=0) - z * y + torch.log1p(torch.exp(-z.abs()))).mean(),
        "(8, 1) against (8,) broadcasts to 64",
    ),
    (lambda z, y: right(z, y).expand(8), "has shape (8,): one numbe"),
    (lambda z, y: (z - y).square().mean(), "the loss is "),
    (lambda z, y: z.cos().oops(), "your code raised AttributeErro"),
    (
        shaped(lambda z, y: (torch.logaddexp(z, torch.zeros_like(z)) - z * y).mean()),
        "20 − z · y leaves nothing",
    ),
    (shaped(lambda z, y: (functional.softplus(z) - z * y).mean()), "20 − z · y leaves nothing"),
    (functional.binary_cross_entropy_with_logits, "is torch's ready-made loss"),
    (shaped(lambda z, y: torch.nn.BCEWithLogitsLoss()(z, y)), "is torch's ready-made loss"),
    (lambda z, y: right(z, y).item(), "the loss is a float: a tensor of no dimension was asked"),
    (asserted, "you raise AssertionError: ValueError was asked"),
)
