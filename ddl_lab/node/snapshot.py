"""What a message held when it was posted, and whether its tensor is in use: written before ``wait``.

A real network reads a tensor until the message is received, so the receiver may get torn data, old and new.
torch counts its own writes. Those of others, numpy's say, show in the bytes alone: all of a small tensor are
compared at each ``wait``, of a large one some blocks, which finds who writes all of it.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

_WHOLE, _PARTS, _BLOCK = 2**16, 8, 2**12  # bytes; up to the first all are compared
_compare = ctypes.pythonapi["memcmp"]  # keeps the interpreter's lock: to let go of it costs more
_compare.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


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

    def resembles(self, flat: Tensor) -> bool:
        """As ``equals``, for a tensor in the host's memory, and of a large one some blocks only."""
        size, at = flat.nbytes, flat.data_ptr()
        if isinstance(self._data, bytes):
            return not _compare(at, self._data, size)
        kept = self._data.data_ptr()
        if size <= _WHOLE:
            return not _compare(at, kept, size)
        starts = range(0, size, size // _PARTS)
        return not any(_compare(at + k, kept + k, min(_BLOCK, size - k)) for k in starts)


def version(tensor: Tensor) -> int:
    """How often torch has written to the tensor or another view of its memory; -1 where it doesn't count."""
    return -1 if tensor.is_inference() else tensor._version


def owns_storage(tensor: Tensor) -> bool:
    """Whether a write to the memory behind ``tensor`` is one to the tensor itself."""
    return tensor.untyped_storage().nbytes() == tensor.nbytes
