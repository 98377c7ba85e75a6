"""Naming a mistake by the numbers that it makes: for checks that compare tensors."""

from __future__ import annotations

import math
from typing import Any

import torch

from .helpers import Answer, Wrong, call, close, same_shape

NEAR = 1e-4  # relative: float32 in another order is closer, a wrong formula is farther


def near(got: Any, expected: torch.Tensor) -> bool:
    """Whether ``got`` is a tensor of the shape of ``expected`` that differs by 1e-4 of its norm at most."""
    alike = isinstance(got, torch.Tensor) and got.shape == expected.shape
    return alike and bool((got - expected).norm() <= NEAR * expected.norm())


def is_number(got: Any, number: float) -> bool:
    """Whether ``got`` is this number, to 1e-9 of it."""
    return isinstance(got, int | float) and math.isclose(got, number, rel_tol=1e-9)


def compare(got: Any, expected: torch.Tensor, what: str, *likely: tuple[str, torch.Tensor]) -> None:
    """Pass where ``got`` is ``expected``; else raise ``Wrong``.

    ``likely``: pairs of a sentence and what a learner gets who makes that mistake. The sentence is
    told where ``got`` is that; else the difference is (see ``close``).
    """
    same_shape(got, expected, what)
    if near(got, expected):
        return
    for words, wrong in likely:
        if near(got, wrong):
            raise Wrong(words)
    close(got, expected, what, rtol=NEAR)


def product(answer: Answer, words: str, *args: Any) -> Any:
    """``answer(*args)``; where a matrix product doesn't fit in it, ``Wrong`` with these ``words``."""
    try:
        return call(answer, *args)
    except RuntimeError as error:
        if "shapes cannot be multiplied" in str(error):
            raise Wrong(words) from None
        raise


def returned(value: Any, *names: str) -> tuple[Any, ...]:
    """``value`` as the things of these ``names``; ``Wrong`` for another number of them."""
    if not isinstance(value, tuple | list) or len(value) != len(names):
        got = f"{len(value)}" if isinstance(value, tuple | list) else f"a {type(value).__name__}"
        raise Wrong(f"return {len(names)} things, {', '.join(names)}; you returned {got}")
    return tuple(value)


def one_number(value: Any, what: str) -> torch.Tensor:
    """``value``, a number or a tensor of one element, as a 0-d double."""
    if value is None:
        raise Wrong(f"{what} is None: is there a `return` in your function?")
    if isinstance(value, torch.Tensor) and value.numel() != 1:
        raise Wrong(f"{what} has shape {tuple(value.shape)}: one number was asked")
    if not isinstance(value, int | float | torch.Tensor):
        raise Wrong(f"{what} is a {type(value).__name__}: a number was asked")
    return torch.as_tensor(value, dtype=torch.float64).detach().reshape(())
