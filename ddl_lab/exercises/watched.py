"""What a learner's function does on its way: which of torch's functions it calls, how much it keeps."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

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


class Below(TorchDispatchMode):
    """While it lasts: ``elements`` of the largest tensor, seen below `vmap`, which hides its rows."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.elements = max(self.elements, made.numel())
        return made


def most_kept(answer: Answer, args: Sequence[Any], first: Sequence[Any]) -> tuple[int, int]:
    """How many numbers ``answer(*args)`` holds at most: in one of its tensors, or in arrays and lists.

    And how many the largest tensor of ``answer(*first)`` has, below `vmap` too.
    What NumPy and Python allocate is counted as numbers of 8 bytes (tracemalloc sees both, torch's not).
    ``first``: arguments of a call before, so that what is made once and for all isn't counted.
    """
    with Watched(), Below() as below:  # here, as what it allocates itself must not count below
        answer(*first)
    tracemalloc.start()
    try:
        with Watched() as watched:
            answer(*args)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return max(watched.elements, peak // 8), below.elements
