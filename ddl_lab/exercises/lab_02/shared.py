"""What lab 02's exercises share: tensors from a seed, products that don't fit, several results."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Normally distributed numbers of this shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


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
