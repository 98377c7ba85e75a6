"""The first logit of a type whose sigmoid is exactly 1."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import one_number


def _saturation(dtype: torch.dtype) -> float:
    low, high = 0.0, 64.0  # the sigmoid is below 1 at the one, and 1 at the other
    while True:
        middle = torch.tensor((low + high) / 2, dtype=dtype)
        if middle.item() in (low, high):  # no number of this dtype lies between them
            return high
        if torch.sigmoid(middle) == 1:
            high = middle.item()
        else:
            low = middle.item()


def _before(value: Tensor, by: int = 1) -> Tensor:
    """The next smaller number of a positive value's dtype: its bits, counted down by one."""
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[value.element_size()]
    return (value.view(bits) - by).view(value.dtype)


def _after(value: Tensor) -> Tensor:
    return _before(value, by=-1)


def _check_saturation(answer: Answer) -> None:
    """The first logit with ŷ = 1, to the last bit, in float32, float64, float16 and bfloat16."""
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        got = one_number(answer(dtype), f"the logit for {name}").item()
        if dtype != torch.float32 and abs(got - _saturation(torch.float32)) < 0.02:
            raise Wrong(f"for {name} you return float32's logit: make your tensors with dtype=dtype")
        _check_first(torch.tensor(got, dtype=dtype), got, name)


def _check_first(logit: Tensor, got: float, name: str) -> None:
    epsilon = torch.finfo(logit.dtype).eps
    near = (n for n in (1, 2, 4) if abs(got - math.log(n / epsilon)) < 1e-9)
    formula = next((f"that is ln({n}/ε), a prediction" for n in near), "")
    if got <= 0 or torch.sigmoid(logit) != 1:
        last = got > 0 and torch.sigmoid(_after(logit)) == 1
        why = formula or ("you return the last one that isn't" if last else "search further up")
        raise Wrong(f"in {name} the sigmoid of {got:.8g} isn't 1 yet: {why}. Return the first that is")
    if logit.item() != got:
        why = formula or f"the nearest is {logit.item():.8g}: round the middle"
        raise Wrong(f"{got!r} is no number of {name}: {why}")
    if torch.sigmoid(_before(logit)) == 1:
        less = f"the sigmoid of {_before(logit).item():.8g} is 1 as well"
        raise Wrong(f"in {name} {got:.8g} isn't the first: {less}. Halve until no number lies between")


saturation = Exercise(
    key="01.saturation",
    title="The first logit with ŷ = 1",
    difficulty=2,
    minutes=8,
    reference=_saturation,
    check=_check_saturation,
    hints=(
        "Keep two logits: at `low` the sigmoid is below 1, at `high` it is 1. Halve the interval.",
        "The middle has to be a number of that type: `torch.tensor((low + high) / 2, dtype=dtype)`.",
        "When the rounded middle is `low` or `high` itself, no number lies between: return `high`.",
    ),
)
