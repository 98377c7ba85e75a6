"""Backward through a linear layer: the gradients of weight, bias and input."""

from __future__ import annotations

from torch import Tensor

from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import compare, near
from .shared import normal, product, returned


def _linear_backward(x: Tensor, w: Tensor, dz: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    dw = dz.T @ x  # (o, b) @ (b, i) -> (o, i), as w
    db = dz.sum(0)  # (b, o) -> (o,)
    dx = dz @ w  # (b, o) @ (o, i) -> (b, i), as x
    return dw, db, dx


def _check_linear(answer: Answer) -> None:
    """values and shapes of dw, db and dx, for a batch of 5 and a layer from 4 to 3"""
    x, w, dz = normal(5, 4), normal(3, 4, seed=1), normal(5, 3, seed=2)
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
