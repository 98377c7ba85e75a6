"""What a learner's function may return: numbers of any library, lists of any kind, slices, pairs."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch


class Wrong(Exception):
    """What a check raises: the likely mistake, in a sentence that speaks to the learner."""


NO_RETURN = "is None: is there a `return` in your function?"


def number(got: Any, what: str) -> float:
    """``got``, a number of Python's, NumPy's or torch's, or one in a tensor of one element, as a float."""
    if got is None:
        raise Wrong(f"{what} {NO_RETURN}")
    if isinstance(got, torch.Tensor | np.ndarray):
        if got.size != 1 if isinstance(got, np.ndarray) else got.numel() != 1:
            raise Wrong(f"{what} has shape {tuple(got.shape)}: one number was asked")
        got = got.item()
    if isinstance(got, bool | np.bool_) or not isinstance(got, numbers.Real):
        raise Wrong(f"{what} is a {type(got).__name__}: a number was asked")
    return float(got)


def whole(got: Any, what: str) -> int:
    """``got`` as an int: a whole number of any library; ``Wrong`` for a float, a bool, a part of one."""
    if got is None:
        raise Wrong(f"{what} {NO_RETURN}")
    try:
        if isinstance(got, bool | np.bool_):
            raise TypeError
        return operator.index(got)
    except TypeError:
        raise Wrong(f"{what} is {got!r:.60}: a whole number (int) was asked") from None


def items(got: Any, what: str) -> list[Any]:
    """``got``, a list, a tuple, an array, a tensor or a table's column, as a list."""
    if got is None:
        raise Wrong(f"{what} {NO_RETURN}")
    if hasattr(got, "tolist"):
        got = got.tolist()
    if isinstance(got, str | bytes | dict) or not isinstance(got, Iterable) or hasattr(got, "__next__"):
        raise Wrong(f"{what} is a {type(got).__name__}: a list was asked")
    return list(got)


def span(got: Any, what: str) -> tuple[int, int]:
    """(start, stop) of a pair of whole numbers, of a slice or of a range of step 1."""
    if isinstance(got, slice | range):
        if got.step not in (None, 1):
            raise Wrong(f"{what} is {got}: neighbours were asked, without a step")
        got = got.start or 0, got.stop
    pair = items(got, what)
    if len(pair) != 2:
        raise Wrong(f"{what} is {got!r:.60}: two whole numbers were asked, where it starts and stops")
    return whole(pair[0], f"{what}, its start,"), whole(pair[1], f"{what}, its stop,")
