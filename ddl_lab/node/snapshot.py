"""What a message held when it was posted, and whether its tensor is in use: written before ``wait``.

A real network reads a tensor until the message is received, so the receiver may get torn data, old and new.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor


class Snapshot:
    """A message's numbers as they were posted: ``data`` flat, or its bytes. ``room`` is theirs meanwhile."""

    __slots__ = ("_data", "_room")

    def __init__(self, data: Tensor | bytes, room: object = None) -> None:
        self._data, self._room = data, room

    def equals(self, flat: Tensor) -> bool:
        """Whether ``flat`` holds the same bytes."""
        if isinstance(self._data, bytes):
            return ctypes.string_at(flat.data_ptr(), len(self._data)) == self._data
        own = flat.view(torch.uint8).to(self._data.device) if flat.numel() else flat
        return not flat.numel() or torch.equal(own, self._data.view(torch.uint8))


def version(tensor: Tensor) -> int:
    """How often torch has written to the tensor or another view of its memory; -1 where it doesn't count."""
    return -1 if tensor.is_inference() else tensor._version


def owns_storage(tensor: Tensor) -> bool:
    """Whether a write to the memory behind ``tensor`` is one to the tensor itself."""
    return tensor.untyped_storage().nbytes() == tensor.nbytes
