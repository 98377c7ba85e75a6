"""Lab 02's exercises: likely mistakes are named, other right ways pass."""

import math

import pytest
import torch

from ddl_lab.exercises import lab_02
from ddl_lab.exercises.machine import NOT_YET, RIGHT


def slope_by_division(z, y):
    p = torch.sigmoid(z)
    return -(y / p - (1 - y) / (1 - p)) * p * (1 - p) / len(y)


def in_place(place, velocity, slope, lr, momentum):
    velocity *= momentum
    velocity += slope
    return place - lr * velocity, velocity


sigmoid = torch.sigmoid
WRONG = [
    # ∂L/∂z
    ("slope", lambda z, y: sigmoid(z) - y, "8 times too large, and 8 is the number of digits"),
    ("slope", lambda z, y: (y - sigmoid(z)) / len(y), "wrong sign"),
    ("slope", lambda z, y: (z - y) / len(y), "ŷ is sigmoid"),
    ("slope", lambda z, y: ((sigmoid(z) - y) / len(y)).sum(), "a slope of its own: shape (8, 1)"),
    ("slope", lambda z, y: (sigmoid(z) - y) * sigmoid(z) * (1 - sigmoid(z)) / len(y), "cancelled out"),
    ("slope", lambda z, y: (sigmoid(z) - y) / (sigmoid(z) * (1 - sigmoid(z))) / len(y), "slope in ŷ"),
    ("slope", slope_by_division, "200 and −200"),
    ("slope", lambda z, y: [0.0] * 8, "a tensor of shape (8, 1) was asked"),
    # a linear layer
    ("linear", lambda x, w, dz: ((dz.T @ x).T, dz.sum(0), dz @ w), "dw is transposed"),
    ("linear", lambda x, w, dz: (dz.T @ x, dz.sum(0), dz @ w.T), "dx (5, 4). Which of them needs .T"),
    ("linear", lambda x, w, dz: (dz @ x, dz.sum(0), dz @ w), "which side"),
    ("linear", lambda x, w, dz: (dz.T @ x, dz.mean(0), dz @ w), "don't take the mean"),
    ("linear", lambda x, w, dz: (dz.T @ x, dz, dz @ w), "add over the batch"),
    ("linear", lambda x, w, dz: (dz.T @ x / len(x), dz.sum(0), dz @ w), "once more"),
    ("linear", lambda x, w, dz: (dz @ w, dz.sum(0), dz.T @ x), "changed places"),
    ("linear", lambda x, w, dz: (dz.T @ x, dz @ w), "return 3 things, dw, db, dx; you returned 2"),
    # ReLU
    ("relu", lambda dh, a: dh * (dh > 0), "mask looks at dh"),
    ("relu", lambda dh, a: dh * a.relu(), "not by its slope"),
    ("relu", lambda dh, a: (a > 0).float(), "mask alone"),
    ("relu", lambda dh, a: dh * (a < 0), "upside down"),
    ("relu", lambda dh, a: dh, "let everything pass"),
    ("relu", lambda dh, a: dh * (a >= 0), "a > 0, not a >= 0"),
    # the central difference
    ("difference", lambda f, t, h: (f(t + h) - f(t)) / h, "forward difference"),
    ("difference", lambda f, t, h: (f(t) - f(t - h)) / h, "backward difference"),
    ("difference", lambda f, t, h: (f(t + h) - f(t - h)) / h, "twice too large"),
    ("difference", lambda f, t, h: (f(t + h) - f(t - h)) / 2 * h, "into brackets"),
    ("difference", lambda f, t, h: (f(t - h) - f(t + h)) / (2 * h), "wrong sign"),
    ("difference", lambda f, t, h: f(t + h) - f(t - h), "divided by 2h"),
    ("difference", lambda f, t, h: math.exp(t), "was asked"),
    # two linear layers in one
    ("collapse", lambda w1, b1, w2, b2: (w2 @ w1, b2), "lacks what the second layer makes"),
    ("collapse", lambda w1, b1, w2, b2: (w2 @ w1, w2 @ b1), "lacks b2"),
    ("collapse", lambda w1, b1, w2, b2: (w1 @ w2, b2), "w1 stands on the right"),
    ("collapse", lambda w1, b1, w2, b2: ((w2 @ w1).T, w2 @ b1 + b2), "w is transposed"),
    ("collapse", lambda w1, b1, w2, b2: (w2 @ w1, torch.cat([b1, b2])), "21 parameters: 2 outputs have 2"),
    # momentum
    ("momentum", lambda x, v, g, lr, m: (x - lr * v, m * v + g), "with the old velocity"),
    ("momentum", lambda x, v, g, lr, m: (x - lr * (v + g), v + g), "must forget"),
    ("momentum", lambda x, v, g, lr, m: (x, m * v + (1 - m) * g), "average"),
    ("momentum", lambda x, v, g, lr, m: (x - m * v - lr * g, m * v + lr * g), "lr is in the velocity"),
    ("momentum", lambda x, v, g, lr, m: (x + lr * (m * v - g), m * v - g), "wrong sign"),
    ("momentum", lambda x, v, g, lr, m: (x - lr * (v + m * g), v + m * g), "not the slope"),
    ("momentum", lambda x, v, g, lr, m: (x + lr * (m * v + g), m * v + g), "uphill"),
    ("momentum", lambda x, v, g, lr, m: (x - (m * v + g), m * v + g), "learning rate is missing"),
    ("momentum", lambda x, v, g, lr, m: (x - lr * g, m * v + g), "the velocity has no effect"),
    ("momentum", in_place, "changes its argument velocity"),
]


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_likely_mistake_is_named(name, answer, words):
    verdict = getattr(lab_02, name).judge(answer)
    assert verdict.state == NOT_YET and words in verdict.text, verdict.text


def test_equal_formulas_written_otherwise_pass():
    def slope(z, y):
        return torch.where(y > 0.5, -torch.sigmoid(-z), torch.sigmoid(z)) / z.shape[0]

    def relu(dh, a):
        return torch.where(a > 0, dh, 0.0)

    assert lab_02.slope.judge(slope).state == RIGHT
    assert lab_02.relu.judge(relu).state == RIGHT
