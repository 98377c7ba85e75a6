"""The outer step of DiLoCo."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import compare
from ..values import NO_RETURN


def _outer_step(begun, thetas, velocity, lr, momentum):  # type: ignore[no-untyped-def]
    come = begun - thetas.mean(0)
    velocity = momentum * velocity + come
    return begun - lr * (come + momentum * velocity), velocity


def _check_outer(answer: Answer) -> str:
    generator = torch.Generator().manual_seed(5)
    begun, velocity = torch.randn(6, generator=generator), torch.zeros(6)
    for nodes, lr, momentum in ((3, 0.7, 0.9), (2, 0.4, 0.5), (4, 0.7, 0.9), (2, 1.0, 0.0)):
        thetas = begun + torch.randn(nodes, 6, generator=generator)
        got = call(answer, begun, thetas, velocity, lr, momentum)
        if got is None:
            raise Wrong(f"your result {NO_RETURN}")
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Wrong("return two tensors: where all go on from, and the velocity")
        asked = _outer_step(begun, thetas, velocity, lr, momentum)
        _compare(got, asked, begun, thetas, velocity, lr, momentum)
        begun, velocity = asked
    return "four outer steps on 2, 3 and 4 nodes; with rate 1 and no momentum it is the average"


def _compare(
    got: Sequence[Tensor], asked: Sequence[Tensor], begun: Tensor, thetas: Tensor,
    velocity: Tensor, lr: float, momentum: float,
) -> None:  # fmt: skip
    mean = thetas.mean(0)
    come = begun - mean
    new = momentum * velocity + come
    summed = (begun - thetas).sum(0)
    compare(
        got[1], asked[1], "your velocity",
        ("the wrong way round: what was come is begun − mean, as a gradient points uphill",
         momentum * velocity - come),
        ("the velocity has the learning rate in it: it takes what was come as it is",
         momentum * velocity + lr * come),
        ("the old velocity counts in full: momentum · velocity", velocity + come),
        ("a mean of old and new: momentum · velocity + what was come",
         momentum * velocity + (1 - momentum) * come),
        ("you add up what the nodes have come: their mean was asked", momentum * velocity + summed),
        ("the old velocity is forgotten", come),
        ("the velocity stays as it was: it takes what was come first", velocity),
    )  # fmt: skip
    compare(
        got[0], asked[0], "where all go on from",
        ("that is plain momentum, lr · velocity: Nesterov steps by what was come + momentum · velocity",
         begun - lr * new),
        ("uphill: subtract", begun + lr * (come + momentum * new)),
        ("you step by the old velocity: it takes what was come first",
         begun - lr * (come + momentum * velocity)),
        ("you start from the mean: the step goes from where all began", mean - lr * (come + momentum * new)),
        ("that is the average: the outer step has a rate and a momentum", mean),
        ("you step without the velocity", begun - lr * come),
        ("the learning rate is missing", begun - (come + momentum * new)),
        ("momentum counts once here: what was come + momentum · velocity", begun - lr * (come + new)),
    )  # fmt: skip


outer = Exercise(
    key="13.outer",
    title="The outer step",
    difficulty=1,
    minutes=6,
    reference=_outer_step,
    check=_check_outer,
    hints=(
        "How far the nodes have come on average, begun − mean, plays the gradient's part.",
        "velocity = momentum · velocity + come: the learning rate is no part of it.",
        "Nesterov: the new place is begun − lr · (come + momentum · velocity), with the new velocity.",
    ),
)
