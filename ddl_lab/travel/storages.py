"""How tensors travel: each storage once, as bytes or by name; each view as its place there."""

from __future__ import annotations

import pickle
from typing import Any

import torch
from torch.storage import TypedStorage, UntypedStorage

from .shared import finder, shared_name

Reduced = tuple[Any, ...]


def is_simple(tensor: torch.Tensor) -> bool:
    """Whether storage, shape and dtype say it all (a Parameter reduces to its simple data)."""
    special = tensor.is_quantized or tensor.is_conj() or tensor.is_neg() or vars(tensor)
    strided = tensor.layout is torch.strided and tensor.device.type != "meta"
    return type(tensor) is torch.Tensor and strided and not special


def reduce_strided(tensor: torch.Tensor) -> Reduced:
    """A simple tensor as its storage and its place there."""
    place = tensor.storage_offset(), tuple(tensor.shape), tensor.stride()
    return _strided, (tensor.untyped_storage(), tensor.dtype, place, tensor.requires_grad)


def _strided(storage: UntypedStorage, dtype: torch.dtype, place: Any, grad: bool) -> torch.Tensor:
    tensor = torch.empty(0, dtype=dtype, device=storage.device)
    return tensor.set_(storage, *place).requires_grad_(grad)


def typed_storage(untyped: UntypedStorage, dtype: torch.dtype) -> TypedStorage:
    """The storage as torch's own reductions hold it."""
    return TypedStorage(wrap_storage=untyped, dtype=dtype, _internal=True)


def reduce_storage(storage: UntypedStorage) -> tuple[Reduced, Any]:
    """How to rebuild ``storage``, and its content (a uint8 array) unless it travels by name."""
    name = shared_name(storage.data_ptr()) if storage.device.type == "cpu" else None
    if name is not None:
        return (finder(name), (name,)), None
    flat = torch.empty(0, dtype=torch.uint8, device="cpu").set_(storage.cpu())
    content: Any = flat.numpy()
    return (_new_storage, (pickle.PickleBuffer(content), str(storage.device))), content


def _new_storage(content: memoryview, device: str) -> UntypedStorage:
    """A copy in torch's own memory: data aligned otherwise may give sums that differ in a bit."""
    flat = torch.empty(len(content), dtype=torch.uint8, device="cpu")
    flat.numpy().data[:] = content
    return flat.to(device).untyped_storage()
