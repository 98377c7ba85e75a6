"""What a learner's function does on its way: which of torch's functions it calls, how much it keeps."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from .helpers import Answer


class Watched(TorchFunctionMode):
    """While it lasts: ``names`` of torch's functions called, ``elements`` of the largest tensor they made."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.elements = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.names.add(func.__name__)
        if isinstance(made, Tensor):
            self.elements = max(self.elements, made.numel())
        return made


def most_kept(answer: Answer, args: Sequence[Any], first: Sequence[Any]) -> int:
    """How many numbers ``answer(*args)`` holds at most: in one of its tensors, or in arrays and lists.

    What NumPy and Python allocate is counted as numbers of 8 bytes (tracemalloc sees both, torch's not).
    ``first``: small arguments of a call before, so that what is made once and for all isn't counted.
    """
    with Watched():
        answer(*first)
    tracemalloc.start()
    try:
        with Watched() as watched:
            answer(*args)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return max(watched.elements, peak // 8)
