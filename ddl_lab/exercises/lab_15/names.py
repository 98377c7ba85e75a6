"""A state dict from the flat tensor: every part by its name and its shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call, same_shape
from ..machine import Exercise
from ..mistakes import near
from ..values import NO_RETURN

Shapes = dict[str, tuple[int, ...]]

CASES: tuple[Shapes, ...] = (
    {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (1, 4), "2.bias": (1,)},
    {"2.weight": (2, 5), "2.bias": (2,), "0.weight": (5, 5), "0.bias": (5,), "scale": ()},
    {"0.weight": (3, 1, 2, 2), "0.bias": (3,), "2.weight": (2, 3, 4), "2.bias": (2,)},
)


def _named(flat, shapes):  # type: ignore[no-untyped-def]
    parts, start = {}, 0
    for name, shape in shapes.items():
        count = math.prod(shape)
        parts[name] = flat[start : start + count].view(shape)
        start += count
    return parts


def _check_names(answer: Answer) -> str:
    for shapes in CASES:
        expected = _cut(torch.arange(1.0, 1.0 + sum(map(_size, shapes.values()))), shapes, shapes)
        flat = torch.cat([part.flatten() for part in expected.values()])
        got = call(answer, flat, dict(shapes))
        if got is None:
            raise Wrong(f"your result {NO_RETURN}")
        if not isinstance(got, dict):
            raise Wrong(f"your result is a {type(got).__name__}: a dict of tensors by their name was asked")
        if missing := [name for name in shapes if name not in got]:
            raise Wrong(f"there is no {missing[0]!r} in your dict: it takes every name in shapes")
        if extra := [name for name in got if name not in shapes]:
            raise Wrong(f"{extra[0]!r} is in your dict, and no name in shapes")
        _compare(got, expected, flat, shapes)
    return "three networks, one whose second layer comes first, a single number, a convolution"


def _size(shape: Iterable[int]) -> int:
    return math.prod(shape)


def _cut(flat: Tensor, shapes: Shapes, order: Iterable[str]) -> dict[str, Tensor]:
    """The parts of ``flat`` if they lay there in ``order``."""
    order = list(order)
    pieces = flat.split([_size(shapes[name]) for name in order])
    return {name: piece.view(shapes[name]) for name, piece in zip(order, pieces, strict=True)}


def _compare(got: dict[str, Any], expected: dict[str, Tensor], flat: Tensor, shapes: Shapes) -> None:
    for name, part in expected.items():
        _same_form(got[name], part, name)
    if all(near(got[name], part) for name, part in expected.items()):
        return
    for words, mistake in MISTAKES.items():
        if all(near(got[name], part) for name, part in mistake(flat, shapes).items()):
            raise Wrong(words)
    wrong = next(name for name, part in expected.items() if not near(got[name], part))
    found, asked = (float(value[wrong].flatten()[0]) for value in (got, expected))
    raise Wrong(f"{wrong!r} begins with {found:g}, and with {asked:g} in the flat tensor 1, 2, 3, …")


def _same_form(got: Any, part: Tensor, name: str) -> None:
    if isinstance(got, Tensor) and got.shape != part.shape and got.numel() == part.numel():
        turned = got.dim() == 2 and tuple(got.T.shape) == tuple(part.shape)
        words = "it lies on its side" if turned else "view() gives it its shape"
        raise Wrong(f"{name!r} has shape {tuple(got.shape)}, and {tuple(part.shape)} was asked: {words}")
    same_shape(got, part, repr(name))


def _from_the_start(flat: Tensor, shapes: Shapes) -> dict[str, Tensor]:
    return {name: flat[: _size(shape)].view(shape) for name, shape in shapes.items()}


def _columns_first(flat: Tensor, shapes: Shapes) -> dict[str, Tensor]:
    parts = _cut(flat, shapes, shapes)
    return {name: part.reshape(part.T.shape).T if part.dim() == 2 else part for name, part in parts.items()}


def _weights_first(shapes: Shapes) -> list[str]:
    return sorted(shapes, key=lambda name: len(shapes[name]) != 2)


MISTAKES: dict[str, Callable[[Tensor, Shapes], dict[str, Tensor]]] = {
    "every part begins where the flat tensor does: go on where the last one ended": _from_the_start,
    "you sorted the names: parts lie in the order of shapes": lambda f, s: _cut(f, s, sorted(s)),
    "the last part comes first with you: parts lie in the order of shapes": lambda f, s: _cut(
        f, s, [*s][::-1]
    ),
    "you took all weights first and then the biases: parts lie in the order of shapes": (
        lambda f, s: _cut(f, s, _weights_first(s))
    ),
    "a matrix lies in the flat tensor row by row, and you read it column by column": _columns_first,
}


names = Exercise(
    key="15.names",
    title="Names for a flat tensor",
    difficulty=1,
    minutes=6,
    reference=_named,
    check=_check_names,
    hints=(
        "Go through shapes in order, and keep count of where you are in the flat tensor.",
        "A part of shape (256, 784) takes 256 · 784 numbers, one of shape () takes 1: math.prod tells.",
        "`flat[start : start + count].view(shape)`, then `start += count`.",
    ),
)
