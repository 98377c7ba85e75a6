"""A client's round under SCAFFOLD."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare, near
from ..values import NO_RETURN

A = torch.tensor([1.0, 4.0, 2.0])
B = torch.tensor([1.0, -1.0, 3.0])


def _client_round(start, common, own, slope, lr, steps):  # type: ignore[no-untyped-def]
    x = start.clone()
    for _ in range(steps):
        x = x - lr * (slope(x) - own + common)
    return x - start, own - common + (start - x) / (steps * lr)


def _slope(x: Tensor) -> Tensor:
    return A * (x - B)


def _check_controls(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(4)
    for lr, steps in ((0.1, 5), (0.05, 1), (0.2, 3)):
        start, common, own = (torch.randn(3, generator=generator) for _ in range(3))
        got = call(answer, start, common, own, _slope, lr, steps)
        if got is None:
            raise Wrong(f"your result {NO_RETURN}")
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Wrong("return two tensors: how far the client went, and its new control")
        _check_way(got[0], start, common, own, lr, steps)
        _check_control(got[1], start, common, own, lr, steps)
    return "1, 3 and 5 local steps: the way, and the mean gradient along it"


def _went(start: Tensor, shift: Tensor, lr: float, steps: int) -> Tensor:
    x = start.clone()
    for _ in range(steps):
        x = x - lr * (_slope(x) + shift)
    return x - start


def _check_way(got: Any, start: Tensor, common: Tensor, own: Tensor, lr: float, steps: int) -> None:
    right = _went(start, common - own, lr, steps)
    compare(
        got, right, f"{steps} steps: how far the client went",
        ("the correction is the wrong way round: out goes the own control, in comes the common one",
         _went(start, own - common, lr, steps)),
        ("that is FedAvg: the controls don't take part in your steps", _went(start, start * 0, lr, steps)),
        ("the own control goes out, but the common one doesn't come in", _went(start, -own, lr, steps)),
        ("the common control comes in, but the own one doesn't go out", _went(start, common, lr, steps)),
        ("that is where the client is: how far it went from start was asked", start + right),
        ("its sign: x − start was asked", -right),
        ("one step: take `steps` of them", _went(start, common - own, lr, 1)),
        ("the gradient is taken at start every time: take it where the client is",
         -lr * steps * (_slope(start) + common - own)),
    )  # fmt: skip


def _check_control(got: Any, start: Tensor, common: Tensor, own: Tensor, lr: float, steps: int) -> None:
    went = _went(start, common - own, lr, steps)
    mean = -went / (steps * lr)
    right = own - common + mean
    if near(got, mean):
        raise Wrong(
            "(start − x) / (steps · lr) is the mean of the *corrected* gradients: take the correction "
            "out again, + own − common"
        )
    compare(
        got, right, f"{steps} steps: the new control",
        ("how far it went is a sum of steps: divide by lr, too", own - common - went / steps),
        ("how far it went is the sum of `steps` steps: divide by their number", own - common - went / lr),
        ("the signs of both controls: own − common", common - own + mean),
        ("x − start has the sign of a step; a gradient's is start − x", own - common - mean),
        ("the own control is still in it twice: own comes once", right + own),
        ("you take the gradient where the client ends: the mean along the way was asked",
         _slope(start + went)),
        ("you take the gradient at start: the mean along the way was asked", _slope(start)),
        ("that is the change; the new control was asked", right - own),
        ("the control stays as it was", own),
    )  # fmt: skip


controls = Exercise(
    key="12.controls",
    title="A client's round under SCAFFOLD",
    difficulty=2,
    minutes=10,
    reference=_client_round,
    check=_check_controls,
    hints=(
        "A step is lr · (slope(x) − own + common), at the x of that step.",
        "The new control is the mean of the plain gradients along the way; you can add them up as you go.",
        "Or from the way: (start − x) / (steps · lr) is the mean corrected gradient; then + own − common.",
    ),
)
