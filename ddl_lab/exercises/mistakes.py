"""Naming a mistake by the numbers that it makes: for checks that compare tensors."""

from __future__ import annotations

import math
from typing import Any

import torch

from .helpers import Wrong, close, same_shape
from .values import number

NEAR = 1e-4  # relative: float32 in another order is closer, a wrong formula is farther


def near(got: Any, expected: torch.Tensor) -> bool:
    """Whether ``got`` is a tensor of the shape of ``expected`` that differs by 1e-4 of its norm at most."""
    alike = isinstance(got, torch.Tensor) and got.shape == expected.shape
    return alike and bool((got - expected).norm() <= NEAR * expected.norm())


def check_number(got: Any, right: float, what: str, *likely: tuple[str, float], rtol: float = 1e-6) -> None:
    """Pass where ``got`` is the number ``right``, to ``rtol`` of it; else raise ``Wrong``.

    ``likely``: pairs of a sentence and the number of a learner who makes that mistake (see ``compare``).
    """
    value = number(got, what)
    if math.isclose(value, right, rel_tol=rtol, abs_tol=1e-12):
        return
    for words, wrong in likely:
        if math.isclose(value, wrong, rel_tol=rtol, abs_tol=1e-12):
            raise Wrong(f"{what} is {value:.4g}, and {right:.4g} was asked: {words}")
    close(value, right, what, rtol=rtol, atol=1e-12)


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


def tensor_of_one(value: Any, what: str) -> torch.Tensor:
    """``value``, a tensor of one element, as a 0-d double; ``Wrong`` for a number of another kind."""
    got = one_number(value, what)
    if not isinstance(value, torch.Tensor):
        raise Wrong(
            f"{what} is a {type(value).__name__}: a tensor of no dimension was asked, not its .item()"
        )
    if value.dim():
        raise Wrong(f"{what} has shape {tuple(value.shape)}: a tensor of no dimension was asked")
    return got


def one_number(value: Any, what: str) -> torch.Tensor:
    """``value``, one number of any kind, as a 0-d double."""
    return torch.tensor(number(value, what), dtype=torch.float64)
