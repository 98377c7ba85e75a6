"""Momentum before the exchange, as DGC has it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare
from ..values import NO_RETURN


def _corrected(gradient, velocity, left, k, momentum):  # type: ignore[no-untyped-def]
    velocity = momentum * velocity + gradient
    left = left + velocity
    places = left.abs().topk(k).indices
    sent = torch.zeros_like(left)
    sent[places] = left[places]
    velocity[places], left[places] = 0, 0
    return sent, velocity, left


def _check_momentum(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(3)
    velocity, left = torch.randn(2, 8, generator=generator)  # in zeros many mistakes are alike
    for step in range(4):
        gradient, k, momentum = torch.randn(8, generator=generator), 2 + step % 2, (0.9, 0.5)[step // 2]
        got = call(answer, gradient, velocity, left, k, momentum)
        if got is None:
            raise Wrong(f"your result {NO_RETURN}")
        if not isinstance(got, tuple | list) or len(got) != 3:
            raise Wrong("return three tensors: what is sent, the velocity, and what is left")
        asked = _corrected(gradient, velocity, left, k, momentum)
        _compare(got, asked, (gradient, velocity, left, k, momentum))
        _, velocity, left = asked
    return "four steps, k = 2 and 3, momentum 0.9 and 0.5"


def _compare(got: Any, asked: Any, given: tuple[Tensor, Tensor, Tensor, int, float]) -> None:
    gradient, velocity, left, k, momentum = given
    sent, speed, rest = asked
    new = momentum * velocity + gradient
    compare(
        got[0], sent, "what you send",
        ("you add up gradients: it is velocities that are remembered and sent", _top(left + gradient, k)),
        ("you send the velocity: what was left out earlier belongs to it", _top(new, k)),
        ("you send the sum before this step's velocity is in it", _top(left, k)),
        ("you add the old velocity: it takes this gradient first", _top(left + velocity, k)),
        ("a mean of old and new: the velocity is momentum · velocity + gradient",
         _top(left + momentum * velocity + (1 - momentum) * gradient, k)),
        ("all of it is sent: keep the k largest in size", left + new),
        ("nothing is sent: take the entries before you set them to 0", torch.zeros_like(new)),
    )  # fmt: skip
    compare(
        got[1], speed, "your velocity",
        ("the velocity goes on at the places that were sent: set it to 0 there, or they overshoot", new),
        ("the velocity is 0 everywhere: only at the places that were sent", torch.zeros_like(new)),
        ("the velocity is 0 at the places that stay, and goes on at those that were sent",
         new * (sent != 0)),
        ("velocity − sent: at the places that were sent it is 0", new - sent),
    )  # fmt: skip
    compare(
        got[2], rest, "what is left",
        ("what was sent is still there, and would be sent twice", left + new),
        ("what was left out earlier is lost: add the velocity to it", new * (sent == 0)),
        ("that is what was sent: keep the rest", sent),
    )  # fmt: skip


def _top(vector: Tensor, k: int) -> Tensor:
    places = vector.abs().topk(k).indices
    return torch.zeros_like(vector).scatter(0, places, vector[places])


momentum = Exercise(
    key="11.momentum",
    title="Momentum before the exchange",
    difficulty=2,
    minutes=8,
    reference=_corrected,
    check=_check_momentum,
    hints=(
        "First the velocity, momentum · velocity + gradient. Then what is left grows by it.",
        "Send the k largest in size of what is left, zeros elsewhere.",
        "At the places that were sent both become 0, the velocity too.",
    ),
)
