"""One step of one rank under DDP."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...training.model import parameters
from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import near
from ..values import number

LR, STEPS = 0.5, 3


def _ddp_step(model, optimizer, loss_of, x, y):  # type: ignore[no-untyped-def]
    optimizer.zero_grad()
    loss = loss_of(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


class StandIn(nn.Module):
    """What DDP does to one rank, without the other: it averages where the forward went through it.

    ``module``: the model inside, as in DDP. Each of its gradients becomes the mean with one of 0.5 that
    another rank would have, while the backward pass goes on.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self._goes_through = self.goes_back = False
        for p in module.parameters():
            p.register_hook(self._averaged)

    def forward(self, x: Tensor) -> Any:
        """The model's output; the next backward pass averages."""
        self._goes_through = True
        return self.module(x)

    def _averaged(self, gradient: Tensor) -> Tensor:
        self.goes_back = True
        return (gradient + 0.5) / 2 if self._goes_through else gradient


class Counted(torch.optim.SGD):
    """SGD that knows whether anybody has asked it for a step."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        """As SGD's."""
        self.steps += 1
        return super().step(closure)


def _trained(answer: Answer) -> tuple[list[Any], Tensor, list[str]]:
    """What each of some steps returns, the parameters after them, and what was never done."""
    generator = torch.Generator().manual_seed(17)
    layer = nn.Linear(3, 1)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    wrapped = StandIn(layer)
    optimizer = Counted(wrapped.parameters(), LR)
    rows = [torch.randn(5, 3, generator=generator) for _ in range(STEPS)]
    targets = [torch.randn(5, 1, generator=generator) for _ in range(STEPS)]
    got = [
        answer(wrapped, optimizer, nn.functional.mse_loss, x, y) for x, y in zip(rows, targets, strict=True)
    ]
    never = (
        []
        if wrapped.goes_back
        else ["no gradient of the model is made, and none averaged: loss.backward() does both"]
    )
    never += (
        []
        if optimizer.steps
        else ["there is no optimizer.step(): what it makes of the gradient is its own business"]
    )
    return got, parameters(copy.deepcopy(layer)).clone(), never


def _check_ddp(answer: Answer) -> str:
    got, after, never = _trained(answer)
    right, expected, _ = _trained(_ddp_step)
    if never:
        raise Wrong(never[0])
    if not near(after, expected):
        for words, fault in FAULTS.items():
            if near(after, _trained(fault)[1]):
                raise Wrong(words)
        off = float((after - expected).norm() / expected.norm())
        raise Wrong(f"after {STEPS} steps the parameters are off by {off:.0%} of their length")
    for step, (theirs, ours) in enumerate(zip(got, right, strict=True)):
        value = number(theirs, f"what you return for step {step + 1}")
        if abs(value - ours) > 1e-5 * abs(ours):
            raise Wrong(
                f"you return {value:.6g} for step {step + 1}: the loss before the step was {ours:.6g}"
            )
    return f"{STEPS} steps: the parameters, and the losses that you return"


def _fault(*order: str, through: bool = True) -> Callable[..., float]:
    """A step that does these things in this order."""

    def step(model: Any, optimizer: Any, loss_of: Any, x: Tensor, y: Tensor) -> float:
        loss = loss_of((model if through else model.module)(x), y)
        deeds = {"zero": optimizer.zero_grad, "backward": loss.backward, "step": optimizer.step}
        for name in order:
            deeds[name]()
        return float(loss.detach())

    return step


FAULTS = {
    "the forward goes past DDP, by model.module: each rank trains alone, and nothing tells you": _fault(
        "zero", "backward", "step", through=False
    ),
    "gradients of earlier batches are still there and add up: zero_grad comes before backward": _fault(
        "backward", "step"
    ),
    "zero_grad comes between backward and step: the step finds nothing": _fault("backward", "zero", "step"),
    "the step comes before backward: it uses the gradient of the batch before": _fault(
        "step", "zero", "backward"
    ),
}

ddp = Exercise(
    key="17.ddp",
    title="A step under DDP",
    difficulty=1,
    minutes=5,
    reference=_ddp_step,
    check=_check_ddp,
    hints=(
        "DDP averages inside backward, and only where the forward went through it: call `model(x)`.",
        "`.grad` adds up from call to call: `optimizer.zero_grad()` before `backward`.",
        "zero_grad, loss = loss_of(model(x), y), loss.backward(), optimizer.step(), return loss.item().",
    ),
)
