"""A picture in a gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...training.data import load_digits
from ...training.loss import bce_with_logits
from ...training.model import gradient, make_model
from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare

HIDDEN, PIXELS = 64, 784


def _picture(weight_gradient, bias_gradient):  # type: ignore[no-untyped-def]
    unit = bias_gradient.abs().argmax()  # one that was active
    return weight_gradient[unit] / bias_gradient[unit]


def _check_picture(answer: Answer) -> str:
    data = load_digits().train  # digit 14 has no pixel of 1
    for seed, row in enumerate((3, 14, 200, 1234)):
        model, x, y = make_model(seed, hidden=HIDDEN), data.x[row : row + 1], data.y[row : row + 1]
        flat = gradient(bce_with_logits(model(x), y), model)
        weight, bias = flat[: HIDDEN * PIXELS].view(HIDDEN, PIXELS), flat[HIDDEN * PIXELS :][:HIDDEN]
        got = call(answer, weight, bias)
        if isinstance(got, torch.Tensor) and got.shape == x[0].shape and got.isnan().any():
            raise Wrong(
                f"digit {row}: nan. A unit that wasn't active has gradient 0, and 0 / 0 is no number: take "
                "one unit that was"
            )
        _compare(got, x[0], weight, bias, f"digit {row} of the training digits: the picture")
    return "four digits, four networks: exact to float32"


def _compare(got: Any, picture: Tensor, weight: Tensor, bias: Tensor, told: str) -> None:
    unit = int(bias.abs().argmax())
    row, size = weight[unit], bias[unit]
    compare(
        got, picture, told,
        ("that is a row of the gradient: the picture times a number, which the bias's gradient tells", row),
        ("multiplied by the bias's gradient: divide by it", row * size),
        ("you divide by the length of the row: divide by the bias's gradient", row / row.norm()),
        ("you divide by the largest pixel: not every digit has one of 1", picture / picture.max()),
        ("you divide by the size of the bias's gradient, without its sign", -picture),
        ("that is the sum of all rows: take one row, over its bias's gradient", weight.sum(0)),
        ("the mean of all rows: take one row, over its bias's gradient", weight.mean(0)),
        ("so many units show the picture, each over its own bias's gradient: one of them is enough",
         picture * int((bias != 0).sum())),
    )  # fmt: skip


picture = Exercise(
    key="12.picture",
    title="A picture in a gradient",
    difficulty=2,
    minutes=6,
    reference=_picture,
    check=_check_picture,
    hints=(
        "Of one digit x, the gradient of unit j's weights is δ_j · x, and that of its bias is δ_j.",
        "So row j over entry j of the bias's gradient is x, wherever δ_j isn't 0.",
        "Many units have δ_j = 0: take the one with the largest `bias_gradient.abs()`.",
    ),
)
