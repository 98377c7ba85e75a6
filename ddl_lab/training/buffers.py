"""New flat tensors: in memory that an engine has supplied for them, else in torch's own.

Ranks on one host add up each other's gradients. Where a gradient lies in memory that all of them reach, from
its first byte on, nobody has to copy it to such a place first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

Supplier = Callable[[int], "torch.Tensor | None"]

_suppliers: list[Supplier] = []  # one at most: a process that has one is one rank


def supply(empty: Supplier) -> None:
    """From now on ask ``empty(count)`` for new float32 (count,) tensors on the CPU; None: it has no room."""
    _suppliers[:] = [empty]


def joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """``torch.cat`` of flat tensors, a new one."""
    fits = _suppliers and all(p.dtype == torch.float32 and p.device.type == "cpu" for p in parts)
    room = _suppliers[0](sum(p.numel() for p in parts)) if fits else None
    return torch.cat(list(parts)) if room is None else torch.cat(list(parts), out=room)
