"""Tensors that all nodes of a process share: they read as any tensor and refuse to be written to.

The check stands in front of torch's functions, not in the memory: code that writes past them
(a raw address, a process group's own collective, ``as_subclass``) isn't caught.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

_OPERATORS = "add sub mul div truediv floordiv mod pow matmul and or xor lshift rshift"
_WRITING_DUNDERS = {f"__i{operator}__" for operator in _OPERATORS.split()}
# x[0] = 1, x.data = y (its setter), and __dlpack__, which hands out a writable alias
_WRITING_DUNDERS |= {"__setitem__", "__set__", "__dlpack__"}

_names: dict[int, str] = {}  # address of a shared storage -> its name, as "digits/train.x"
_rebuilders: dict[str, Callable[..., torch.Tensor]] = {}  # name -> who makes its views elsewhere
_finders: dict[str, Callable[[str], torch.UntypedStorage]] = {}  # name -> who finds its storage elsewhere
_owners: dict[str, torch.Tensor] = {}  # name -> the plain tensor that owns the storage


class SharedTensor(torch.Tensor):
    """A tensor over a shared, read-only storage: reads as any tensor, refuses to be written to.

    Views (slices, ``.T``, ``.detach()``, ``.data``, ``.numpy()``) stay read-only; whatever has
    memory of its own (``x[indices]``, ``x * 2``, ``x.clone()``, ``model(x)``) is a plain tensor.
    It pickles by name and place, not by value.
    """

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if kwargs or _writes(func):
            for tensor in _written(func, args, kwargs or {}):
                if isinstance(tensor, cls):
                    raise _refusal(tensor)
        with torch._C.DisableTorchFunctionSubclass():
            return _guarded(func(*args, **(kwargs or {})))

    @property
    def _base(self) -> torch.Tensor | None:  # type: ignore[override]
        """What this is a view of, a plain tensor: as a shared one it would be a view of itself, without end.

        torch's own, read where it describes a tensor, as torch.export does.
        """
        with torch._C.DisableTorchFunctionSubclass():
            return super()._base

    def set_(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: the one method in place that torch does not send through __torch_function__."""
        raise _refusal(self)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        with torch._C.DisableTorchFunctionSubclass():
            name = _names[self.untyped_storage().data_ptr()]
            place = (name, tuple(self.shape), self.stride(), self.storage_offset(), self.dtype)
        return _rebuilders[name], place

    def __format__(self, spec: str) -> str:
        return format(self.as_subclass(torch.Tensor), spec)

    def __deepcopy__(self, memo: object) -> torch.Tensor:
        return self.clone()


def _refusal(tensor: torch.Tensor) -> RuntimeError:
    with torch._C.DisableTorchFunctionSubclass():
        name = _names[tensor.untyped_storage().data_ptr()].replace("/", ".")
    return RuntimeError(f"{name} is shared by all nodes and read-only: work on a copy, x = {name}.clone()")


@functools.cache
def _writes(func: Any) -> bool:
    """Whether torch writes to the first argument: add_, __iadd__, x[0] = 1, x.data = y, ..."""
    name: str = func.__name__
    return name in _WRITING_DUNDERS or (name.endswith("_") and not name.startswith("__"))


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return the arguments that ``func(*args, **kwargs)`` would write to."""
    target = kwargs.get("out")
    if target is None and (_writes(func) or kwargs.get("inplace")):
        target = args[0] if args else next(iter(kwargs.values()))
    return tuple(target) if isinstance(target, (tuple, list)) else (target,)


def _guarded(result: Any) -> Any:
    """Return ``result`` with all that lies in a shared storage made read-only."""
    if type(result) is torch.Tensor:
        if _address(result) in _names:
            return result.as_subclass(SharedTensor)
    elif type(result) in (tuple, list):  # unbind, split, chunk
        return type(result)(map(_guarded, result))
    elif isinstance(result, np.ndarray) and result.base is not None:  # a copy has no base
        result.setflags(write=False)
    return result


def _address(tensor: torch.Tensor) -> int | None:
    """Return the address of the tensor's storage, None for those without one (sparse, vmap's)."""
    try:
        return tensor.untyped_storage().data_ptr()
    except NotImplementedError:
        return None


def share(
    name: str,
    values: np.ndarray,
    rebuild: Callable[..., torch.Tensor],
    find: Callable[[str], torch.UntypedStorage],
) -> torch.Tensor:
    """Copy ``values`` into a new shared storage called ``name``.

    ``rebuild`` and ``find`` are the data set's own, and what pickles name: the first makes a view (see
    ``view``) in the process that unpickles, the second its storage.

    Through numpy: the fork server may hold the data, and must never have run a torch operation.
    The memory is torch's own (aligned to 64 bytes), so that every process computes on equal terms.
    """
    owner = torch.empty(values.shape, dtype=getattr(torch, str(values.dtype)))
    owner.numpy()[...] = values
    _owners[name], _rebuilders[name], _finders[name] = owner, rebuild, find
    _names[owner.untyped_storage().data_ptr()] = name
    return owner.as_subclass(SharedTensor)


def shared_name(storage_data_ptr: int) -> str | None:
    """Return the name ("digits/train.x") of the shared storage at this address, None if none."""
    return _names.get(storage_data_ptr)


def finder(name: str) -> Callable[[str], torch.UntypedStorage]:
    """Return what finds the shared storage ``name`` in another process, by its name."""
    return _finders[name]


def owner(name: str) -> torch.Tensor | None:
    """Return the plain tensor that owns the shared storage ``name``, None if none."""
    return _owners.get(name)


def view(
    owner: torch.Tensor,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    offset: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Return the read-only view of ``owner``'s storage; stride and offset count elements."""
    plain = torch.empty(0, dtype=dtype)
    plain.set_(owner.untyped_storage(), offset, size, stride)
    return plain.as_subclass(SharedTensor)
