"""Lab 02, the gradient: six exercises, from one slope to a step with momentum."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .machine import Exercise, Wrong, call, close
from .mistakes import compare, near, product, returned


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _slope(z: Tensor, y: Tensor) -> Tensor:
    return (torch.sigmoid(z) - y) / len(y)


def _check_slope(answer: Callable[..., Any]) -> None:
    """8 digits, with both labels; and logits of 200 and −200, where ŷ is 1 and 0."""
    z, y = _random(8, 1) * 3, torch.tensor([[1.0], [0.0]] * 4)
    p, right, value = torch.sigmoid(z), _slope(z, y), call(answer, z, y)
    if isinstance(value, Tensor) and value.numel() == 1:
        raise Wrong("you return one number, and each of the 8 logits has a slope of its own: shape (8, 1)")
    compare(
        value, right, "the slope",
        ("your slopes are 8 times too large, and 8 is the number of digits: the loss is a mean", p - y),
        ("your slopes have the wrong sign: it is ŷ − y, so that going down raises ŷ where y is 1", -right),
        ("you took the logit z for ŷ: ŷ is sigmoid(z)", (z - y) / 8),
        ("sigmoid's own slope ŷ(1 − ŷ) has cancelled out already: leave it away", right * p * (1 - p)),
        ("this is ∂L/∂ŷ, the slope in ŷ: times ŷ(1 − ŷ) it becomes the slope in z", right / (p * (1 - p))),
    )  # fmt: skip
    far, labels = torch.tensor([[200.0], [-200.0]]), torch.tensor([[0.0], [1.0]])
    if not near(call(answer, far, labels), _slope(far, labels)):
        raise Wrong("at the logits 200 and −200 your slope is no use: don't divide by ŷ or 1 − ŷ")


slope = Exercise(
    key="02.slope",
    title="The slope in the logits",
    difficulty=1,
    minutes=4,
    reference=_slope,
    check=_check_slope,
    hints=(
        "The derivation at the top of the lab ends in one short formula for each digit.",
        "ŷ is `torch.sigmoid(z)`. And the loss is a mean over the batch, not a sum.",
        "(ŷ − y) / N, where N is `len(y)`.",
    ),
)


def _linear_backward(x: Tensor, w: Tensor, dz: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    dw = dz.T @ x  # (o, b) @ (b, i) -> (o, i), as w
    db = dz.sum(0)  # (b, o) -> (o,)
    dx = dz @ w  # (b, o) @ (o, i) -> (b, i), as x
    return dw, db, dx


def _check_linear(answer: Callable[..., Any]) -> None:
    """values and shapes of dw, db and dx, for a batch of 5 and a layer from 4 to 3"""
    x, w, dz = _random(5, 4), _random(3, 4, seed=1), _random(5, 3, seed=2)
    shapes = "x is (5, 4), w (3, 4), dz (5, 3); dw must be (3, 4), db (3,), dx (5, 4)"
    fit = f"two matrices don't fit: {shapes}. Which of them needs .T, and on which side does it stand?"
    dw, db, dx = returned(product(answer, fit, x, w, dz), "dw", "db", "dx")
    right_w, right_b, right_x = _linear_backward(x, w, dz)
    if isinstance(dw, Tensor) and tuple(dw.shape) == (4, 3):
        raise Wrong("dw is transposed: the gradient of w has w's own shape, (3, 4)")
    if near(dw, right_x) and near(dx, right_w):
        raise Wrong("dw and dx have changed places: return dw, db, dx")
    again = "dz has the 1/N of the mean in it already, and you divided by 5, the batch, once more"
    compare(dw, right_w, "dw", (again, right_w / 5))
    if near(db, dz):
        raise Wrong("db is a row for each digit: all digits share the bias, so add over the batch: sum(0)")
    mean = "db is 5 times too small, and 5 is the batch: add over the batch, don't take the mean"
    compare(db, right_b, "db", (mean, right_b / 5))
    compare(dx, right_x, "dx", (again, right_x / 5))


linear = Exercise(
    key="02.linear",
    title="Backward through a linear layer",
    difficulty=2,
    minutes=7,
    reference=_linear_backward,
    check=_check_linear,
    hints=(
        "A gradient has the shape of what it is the gradient of. Write the three shapes down first.",
        "Every entry of w meets every digit of the batch, so the batch is what dw sums over.",
        "`dw = dz.T @ x` and `dx = dz @ w`. The bias is added to every digit: db sums dz over them.",
    ),
)


def _relu_backward(dh: Tensor, a: Tensor) -> Tensor:
    return dh * (a > 0)


def _check_relu(answer: Callable[..., Any]) -> None:
    """inputs above 0, below 0, and 0 exactly"""
    dh, a = _random(6, 3), _random(6, 3, seed=1)
    compare(
        call(answer, dh, a), _relu_backward(dh, a), "the result",
        ("your mask looks at dh, the gradient: a, the input of ReLU, decides what passes", dh * (dh > 0)),
        ("you multiply by relu(a), the layer's output, and not by its slope, which is 1 or 0", dh * a.relu()),
        ("that is the mask alone, the slope of ReLU: times dh it becomes the gradient", (a > 0).float()),
        ("your mask is upside down: the gradient passes where a is above 0", dh * (a < 0)),
        ("you let everything pass: where a is below 0, ReLU's output doesn't move with a", dh),
    )  # fmt: skip
    if not torch.equal(call(answer, dh, torch.zeros(6, 3)), torch.zeros(6, 3)):
        raise Wrong("at a = 0 exactly you let the gradient pass; torch's slope there is 0: a > 0, not a >= 0")


relu = Exercise(
    key="02.relu",
    title="Backward through ReLU",
    difficulty=1,
    minutes=4,
    reference=_relu_backward,
    check=_check_relu,
    hints=(
        "What is the slope of max(a, 0) at a = 3, and what at a = −3?",
        "A comparison of tensors gives a mask of True and False, which multiply as 1 and 0.",
        "`dh * (a > 0)`: the mask comes from what went into ReLU, not from the gradient.",
    ),
)


def _central_difference(f: Callable[[float], float], t: float, h: float) -> float:
    return (f(t + h) - f(t - h)) / (2 * h)


def _check_difference(answer: Callable[..., Any]) -> None:
    """the slope of the exponential function, as exact as h allows"""
    t, h, here, ahead, behind = 1.5, 0.25, math.exp(1.5), math.exp(1.75), math.exp(1.25)
    right, value = _central_difference(math.exp, t, h), call(answer, math.exp, t, h)
    likely = (
        ("that is the forward difference: its error is of order h, the central one's h²", (ahead - here) / h),
        ("that is the backward difference: look to both sides of t", (here - behind) / h),
        ("your slope is twice too large: from t − h to t + h it is 2h, not h", 2 * right),
        ("Python reads a / 2 * h as (a / 2) · h: put the 2 * h into brackets", (ahead - behind) / 2 * h),
        ("your slope has the wrong sign: the value ahead less the value behind", -right),
        ("the difference of the two values has yet to be divided by 2h", ahead - behind),
    )
    for words, wrong in likely:
        if isinstance(value, float) and abs(value - wrong) < 1e-9:
            raise Wrong(words)
    close(value, right, "the slope", rtol=1e-6)


difference = Exercise(
    key="02.difference",
    title="The central difference",
    difficulty=1,
    minutes=4,
    reference=_central_difference,
    check=_check_difference,
    hints=(
        "Two values of f are enough, one on each side of t.",
        "A slope is the rise over the run. How long is the run from t − h to t + h?",
        "`(f(t + h) - f(t - h)) / (2 * h)`, with the brackets.",
    ),
)


def _collapse(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
    return w2 @ w1, w2 @ b1 + b2  # the first bias goes through the second layer as well


def _check_collapse(answer: Callable[..., Any]) -> None:
    """a stack from 7 by way of 5 to 2, 52 parameters, against one layer of 16"""
    w1, b1, w2, b2 = _random(5, 7), _random(5, seed=1), _random(2, 5, seed=2), _random(2, seed=3)
    fit = "a product doesn't fit: w1 is (5, 7), w2 (2, 5). x meets w1 first, so w1 stands on the right"
    w, b = returned(product(answer, fit, w1, b1, w2, b2), "w", "b")
    if isinstance(w, Tensor) and tuple(w.shape) == (7, 2):
        raise Wrong("your w is transposed: a layer's weight is (outputs, inputs), here (2, 7)")
    if isinstance(w, Tensor) and isinstance(b, Tensor) and b.numel() > 2:
        raise Wrong(f"you keep {w.numel() + b.numel()} parameters: 2 outputs have 2 biases, 16 are enough")
    right_w, right_b = _collapse(w1, b1, w2, b2)
    compare(w, right_w, "w")
    compare(
        b, right_b, "b",
        ("the bias lacks what the second layer makes of the first one's: w2 @ b1", b2),
        ("the bias lacks b2, the second layer's own", w2 @ b1),
    )  # fmt: skip


collapse = Exercise(
    key="02.collapse",
    title="Two linear layers in one",
    difficulty=2,
    minutes=6,
    reference=_collapse,
    check=_check_collapse,
    hints=(
        "Write z = w2 (w1 x + b1) + b2 and multiply out.",
        "What stands in front of x is the new weight; what is left is the new bias.",
        "`w = w2 @ w1` and `b = w2 @ b1 + b2`.",
    ),
)


def _momentum_step(
    place: Tensor, velocity: Tensor, slope: Tensor, lr: float, momentum: float
) -> tuple[Tensor, Tensor]:
    velocity = momentum * velocity + slope
    place = place - lr * velocity
    return place, velocity


def _check_momentum(answer: Callable[..., Any]) -> None:
    """one step, its place and its velocity"""
    x, v, g = _random(3), _random(3, seed=1), _random(3, seed=2)
    new_x, new_v = returned(call(answer, x, v, g, 0.1, 0.75), "place", "velocity")
    right_x, right_v = _momentum_step(x, v, g, 0.1, 0.75)
    compare(
        new_v, right_v, "velocity",
        ("the velocity must forget: the old one counts momentum times, not once", v + g),
        ("that is an average with (1 − momentum) · slope; here it counts in full", 0.75 * v + 0.25 * g),
        ("lr is in the velocity; here it adds slopes, and lr comes in the step", 0.75 * v + 0.1 * g),
        ("the slope has the wrong sign in the velocity; the minus comes in the step", 0.75 * v - g),
        ("momentum multiplies the old velocity, not the slope", v + 0.75 * g),
    )  # fmt: skip
    compare(
        new_x, right_x, "place",
        ("you stepped with the old velocity: first renew it, then step", x - 0.1 * v),
        ("you stepped along the slope alone, so the velocity has no effect", x - 0.1 * g),
        ("your step goes uphill: the place moves against the velocity", x + 0.1 * right_v),
        ("the learning rate is missing in the step", x - right_v),
    )  # fmt: skip


momentum = Exercise(
    key="02.momentum",
    title="A step with momentum",
    difficulty=2,
    minutes=6,
    reference=_momentum_step,
    check=_check_momentum,
    hints=(
        "Two lines: the first makes the new velocity, the second uses it.",
        "The new velocity is momentum times the old one, plus the slope.",
        "`velocity = momentum * velocity + slope`, then `place = place - lr * velocity`.",
    ),
)
