"""What a learner's function does on its way: which of torch's functions it calls, how much it keeps."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from .helpers import Answer


class Called(TorchFunctionMode):
    """While it lasts, ``names`` gathers those of torch's functions that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.__name__)
        return func(*args, **(kwargs or {}))


class Largest(TorchDispatchMode):
    """While it lasts, ``elements`` is the size of the largest tensor that any operation made."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.elements = max(self.elements, made.numel())
        return made


def most_kept(answer: Answer, args: Sequence[Any], first: Sequence[Any]) -> int:
    """How many numbers ``answer(*args)`` holds at most: in one of its tensors, or in arrays and lists.

    What NumPy and Python allocate is counted as numbers of 8 bytes (tracemalloc sees both, torch's not).
    ``first``: small arguments of a call before, so that what is made once and for all isn't counted.
    """
    with Largest():
        answer(*first)
    tracemalloc.start()
    try:
        with Largest() as largest:
            answer(*args)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return max(largest.elements, peak // 8)
