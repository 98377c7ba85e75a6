"""Two linear layers in one."""

from __future__ import annotations

from torch import Tensor

from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import compare
from .shared import normal, product, returned


def _collapse(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
    return w2 @ w1, w2 @ b1 + b2  # the first bias goes through the second layer as well


def _check_collapse(answer: Answer) -> None:
    """a stack from 7 by way of 5 to 2, 52 parameters, against one layer of 16"""
    w1, b1, w2, b2 = normal(5, 7), normal(5, seed=1), normal(2, 5, seed=2), normal(2, seed=3)
    fit = "a product doesn't fit: w1 is (5, 7), w2 (2, 5). x meets w1 first, so w1 stands on the right"
    w, b = returned(product(answer, fit, w1, b1, w2, b2), "w", "b")
    if isinstance(w, Tensor) and tuple(w.shape) == (7, 2):
        raise Wrong("your w is transposed: a layer's weight is (outputs, inputs), here (2, 7)")
    if isinstance(b, Tensor) and tuple(b.shape) == (2, 7):
        raise Wrong("w and b have changed places: return w, b")
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
