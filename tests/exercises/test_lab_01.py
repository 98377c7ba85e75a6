"""Lab 01's exercises: likely mistakes are named, other right ways pass."""

import math
import re

import pytest
import torch
from torch.nn import functional

from ddl_lab.exercises import lab_01 as exercise
from ddl_lab.exercises.lab_01.saturation import _before, _saturation
from ddl_lab.exercises.sizes import Largest


def told(one, answer):
    """What the check says of a wrong answer."""
    verdict = one.judge(answer)
    assert verdict.state == "not yet", verdict
    return verdict.text


def rate(labels):
    return labels.double().mean().item()


def bits(r):
    return -(r * math.log2(r) + (1 - r) * math.log2(1 - r)) if 0 < r < 1 else 0.0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda labels: bits(rate(labels)) * math.log(2), "in nats: bits are log2"),
        (lambda labels: -bits(rate(labels)), "the minus in front is missing"),
        (lambda labels: -rate(labels) * math.log2(rate(labels)), "of the ones alone"),
        (lambda labels: -(1 - rate(labels)) * math.log2(1 - rate(labels)), "of the zeros alone"),
        (lambda labels: bits(rate(labels)) * len(labels), "sum over the 20 labels"),
        (lambda labels: 1.0, "1 bit is the entropy where half"),
        (lambda labels: rate(labels), "base rate itself"),
        (lambda labels: print(end=""), "is there a `return`"),
        (lambda labels: labels, r"has shape \(20, 1\): one number"),
        (lambda labels: "1 bit", "is a str: a number"),
        (lambda labels: float(_with_logs(labels)), "0 · log2.0. counts as 0"),
    ],
)
def test_mistakes_with_the_entropy_are_named(answer, words):
    assert re.search(words, told(exercise.entropy, answer))


def _with_logs(labels):
    r = labels.double().mean()
    return -(r * r.log2() + (1 - r) * (1 - r).log2())


def naive(z, y):
    p = torch.sigmoid(z)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def right(z, y):
    assert_same(z, y)
    return functional.binary_cross_entropy_with_logits(z, y)


def assert_same(z, y):
    if z.shape != y.shape:
        raise ValueError("shapes")


def shaped(loss):
    """``loss`` that refuses other shapes, so that only its own mistake is left."""

    def answer(z, y):
        assert_same(z, y)
        return loss(z, y)

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (naive, "logit 20, label 0, float32 your loss is inf: ŷ has become exactly 1"),
        (lambda z, y: right(z, y) * len(z), "8 times too large, for 8 samples"),
        (lambda z, y: right(z, y) / math.log(2), "in bits"),
        (lambda z, y: right(z, 1 - y), "the other way round"),
        (lambda z, y: -right(z, y), "wrong sign"),
        (lambda z, y: -(y * torch.sigmoid(z).log()).mean(), "the zeros pay nothing"),
        (lambda z, y: torch.log(1 + torch.exp(z)).mean(), "− z · y is missing"),
        (shaped(lambda z, y: (torch.log(1 + torch.exp(z)) - z * y).mean()), "exp of a number above 88"),
        (shaped(lambda z, y: functional.binary_cross_entropy(torch.sigmoid(z), y)), "a clamp hides"),
        (
            shaped(lambda z, y: (z.clamp(min=0) - z * y + torch.log(1 + torch.exp(-z.abs()))).mean()),
            "use log1p",
        ),
        (
            lambda z, y: (z.clamp(min=0) - z * y + torch.log1p(torch.exp(-z.abs()))).mean(),
            r"\(8, 1\) against \(8,\) broadcasts to 64",
        ),
        (lambda z, y: right(z, y).expand(8), r"has shape \(8,\): one number"),
        (lambda z, y: (z - y).square().mean(), "the loss is "),
        (lambda z, y: z.cos().oops(), "your code raised AttributeError"),
    ],
)
def test_mistakes_with_the_stable_loss_are_named(answer, words):
    assert re.search(words, told(exercise.stable, answer))


@pytest.mark.parametrize(
    "loss",
    [
        lambda z, y: (torch.logaddexp(z, torch.zeros_like(z)) - z * y).mean(),
        lambda z, y: functional.binary_cross_entropy_with_logits(z, y),
        lambda z, y: (functional.softplus(z) - z * y).mean(),
        lambda z, y: torch.log1p(torch.exp(-z.abs())).mean() + (z.relu() - z * y).mean(),
    ],
)
def test_other_stable_forms_are_right_too(loss):
    assert exercise.stable.judge(shaped(loss)).state == "right"


def all_pairs(p, y):
    return -(y * p.log() + (1 - y) * (1 - p).log())  # (8, 1) with (8,): (8, 8)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda p, y: all_pairs(p, y).mean(), "right, but by a tensor of 64 numbers"),
        (lambda p, y: all_pairs(p, y[:, None]).mean(), "loss of matched pairs"),
        (lambda p, y: all_pairs(y.mean(), y).mean(), "the entropy of the labels"),
        (lambda p, y: all_pairs(p.mean(), y).mean(), "you took the mean of ŷ first"),
        (lambda p, y: all_pairs(p, y.mean()).sum(), "8 times too large, for 8 predictions"),
        (lambda p, y: all_pairs(p, y).sum(), "64 times too large"),
        (lambda p, y: -(y.mean() * p.log()).mean(), "the zeros pay nothing"),
        (lambda p, y: all_pairs(p, y.mean()), r"has shape \(8, 1\)"),
    ],
)
def test_mistakes_with_all_pairs_are_named(answer, words):
    assert re.search(words, told(exercise.pairs, answer))


def test_the_largest_tensor_on_the_way_is_seen():
    with Largest() as largest:
        (torch.ones(30, 1) + torch.ones(20)).sum()
    assert largest.elements == 600


def first(dtype, step=0.01):
    z = torch.arange(0, 64, step, dtype=torch.float64).to(dtype)
    return z[torch.sigmoid(z) == 1][0].item()


def last_below(dtype):
    return _before(torch.tensor(_saturation(dtype), dtype=dtype)).item()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda dtype: math.log(1 / torch.finfo(dtype).eps), r"isn't 1 yet: that is ln\(1/ε\), a prediction"),
        (lambda dtype: last_below(dtype), "you return the last one that isn't"),
        (lambda dtype: math.log(2 / torch.finfo(dtype).eps), r"no number of float32: that is ln\(2/ε\)"),
        (lambda dtype: 16.5, "isn't 1 yet: search further up"),
        (lambda dtype: first(dtype), "float32 16.639999 isn't the first: the sigmoid of 16.6"),
        (
            lambda dtype: _saturation(torch.float32),
            "for float64 you return float32's logit",
        ),
        (lambda dtype: _saturation(dtype) + 1e-9, "is no number of float32"),
        (lambda dtype: print(end=""), "is there a `return`"),
    ],
)
def test_mistakes_with_the_saturation_are_named(answer, words):
    assert re.search(words, told(exercise.saturation, answer))


def log_softmax(scores, dim=1):
    return torch.log_softmax(scores, dim)


def test_the_formula_of_the_task_is_a_right_answer():
    assert exercise.classes.judge(lambda s: s - torch.logsumexp(s, 1, keepdim=True)).state == "right"


def batch_max(s):
    shifted = s - s.max()
    return shifted - shifted.exp().sum(1, keepdim=True).log()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s: (s.exp() / s.exp().sum(1, keepdim=True)).log(), "exp.1000. is inf"),
        (lambda s: log_softmax(s).exp(), "those are the probabilities"),
        (lambda s: log_softmax(s, 0), "down the columns"),
        (lambda s: log_softmax(s.flatten(), 0).view_as(s), "over the whole batch"),
        (lambda s: -log_softmax(s), "the wrong way round"),
        (lambda s: s - s.max(1, keepdim=True).values, "the rows aren't normalised"),
        (lambda s: log_softmax(s) / math.log(2), "to the base 2"),
        (batch_max, "each row's own largest score"),
        (lambda s: torch.softmax(s, 1).log(), "subtract logs, form no quotient"),
        (lambda s: s - s.exp().sum(1).log(), "your code raised RuntimeError"),
        (lambda s: log_softmax(s).sum(1), r"has shape \(4,\): \(4, 3\) was asked"),
    ],
)
def test_mistakes_with_many_classes_are_named(answer, words):
    assert re.search(words, told(exercise.classes, answer))
