"""The bytes that a node keeps between forward and backward, counted from the tensors that are alive."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor


class _Held:
    """What autograd keeps in the place of a tensor; it lives as long as the graph keeps it."""

    __slots__ = ("__weakref__", "tensor", "version")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.version = tensor, tensor._version


class Live:
    """Counts what autograd saves under ``with live:``, and what ``watch`` is shown, while it is alive.

    ``parameters`` don't count: they are there anyway, and autograd saves them for every layer. Tensors
    in the same memory count once. ``peak_bytes``: the most at the end of any ``with live:``.
    """

    def __init__(self, parameters: Iterable[Tensor] = ()) -> None:
        self._apart = {tensor.untyped_storage().data_ptr() for tensor in parameters}
        self._held: weakref.WeakSet[_Held] = weakref.WeakSet()
        self._watched: list[weakref.ref[Tensor]] = []
        self.peak_bytes = 0

    def watch(self, tensor: Tensor) -> Tensor:
        """Count ``tensor`` for as long as somebody keeps it; returns it."""
        self._watched.append(weakref.ref(tensor))
        return tensor

    @property
    def bytes(self) -> int:
        """What is alive now."""
        self._watched = [ref for ref in self._watched if ref() is not None]
        alive = [held.tensor for held in self._held]
        alive += [tensor for ref in self._watched if (tensor := ref()) is not None]
        return sum({t.data_ptr(): t.nbytes for t in alive if not self._is_apart(t)}.values())

    def _is_apart(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self._apart

    def _keep(self, tensor: Tensor) -> _Held:
        held = _Held(tensor)
        self._held.add(held)
        return held

    def __enter__(self) -> Live:
        # no node call in here: hooks belong to the thread, and all simulated nodes share it
        self._hooks: Any = torch.autograd.graph.saved_tensors_hooks(self._keep, _given_back)
        self._hooks.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._hooks.__exit__(kind, error, tb)
        self.peak_bytes = max(self.peak_bytes, self.bytes)


def _given_back(held: _Held) -> Tensor:
    """The tensor; autograd leaves it to hooks to see that it is still what was saved."""
    if held.tensor._version != held.version:
        raise RuntimeError(
            f"a tensor of shape {tuple(held.tensor.shape)} which this backward pass needs was changed "
            "in place after its forward pass: a step was taken in between"
        )
    return held.tensor
