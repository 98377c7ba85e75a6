"""What nodes of a simulation share, as no number depends on it: afterwards the process is as it was."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_printing: Any = torch._tensor_str.PRINT_OPTS
_events: Any = asyncio.events


@contextmanager
def shared() -> Iterator[None]:
    """While it lasts, nodes may change where imports look, how deep calls may go, and how torch prints."""
    path, limit, printing = list(sys.path), sys.getrecursionlimit(), dict(vars(_printing))
    loops = getattr(_events._event_loop_policy, "_local", None)  # asyncio.run leaves none behind
    loop = dict(vars(loops)) if loops else {}
    try:
        yield
    finally:
        if sys.path != path:
            sys.path[:] = path
        sys.setrecursionlimit(limit)
        vars(_printing).update(printing)
        if loops:
            vars(loops).update(loop)
