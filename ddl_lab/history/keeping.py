"""How results stand in a saved file: JSON that says what each is, arrays that hold the numbers of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

Array = np.ndarray[Any, Any]

KEPT = "None, numbers, text, bytes, tensors, NumPy arrays, and lists, tuples, dicts of those"
_DEEPEST = 100  # lists in lists: JSON and Python's stack end somewhere
_DTYPES = {str(d).split(".")[1]: d for d in vars(torch).values() if isinstance(d, torch.dtype)}
_COMPRESSED = {
    torch.sparse_csr: ("crow_indices", "col_indices"),
    torch.sparse_bsr: ("crow_indices", "col_indices"),
    torch.sparse_csc: ("ccol_indices", "row_indices"),
    torch.sparse_bsc: ("ccol_indices", "row_indices"),
}
_LAYOUTS = {str(layout): layout for layout in _COMPRESSED}


class Encoder:
    """Turns results into JSON; numbers of tensors go to ``arrays`` and leave a name behind.

    A subclass (a named tuple, an enum's number) is kept as the plain kind. ``lost`` names what isn't kept.
    """

    def __init__(self, arrays: dict[str, Array]) -> None:
        self.arrays = arrays
        self.lost: list[str] = []
        self._inside: list[int] = []  # the lists and dicts around the value

    def encode(self, value: Any, path: str) -> dict[str, Any]:
        """``value``, which stands at ``path`` of the results."""
        if isinstance(value, np.generic | np.ndarray) and not isinstance(value, str | bytes):
            return self._numpy(value, path)
        if value is None or isinstance(value, bool | float | str):
            return {"value": value}
        if isinstance(value, int):
            return {"int": hex(value)} if abs(value) >> 64 else {"value": value}
        if isinstance(value, complex):
            return {"complex": [value.real, value.imag]}
        if isinstance(value, bytes):
            return {"bytes": self._put(np.frombuffer(value, np.uint8))}
        if isinstance(value, Tensor):
            return self._tensor(value, path)
        if isinstance(value, list | tuple | dict):
            return self._container(value, path)
        return self._lose(f"a {type(value).__name__}", path)

    def _lose(self, what: str, path: str) -> dict[str, Any]:
        self.lost.append(f"{path} ({what})")
        return {"lost": what}

    def _put(self, array: Array) -> str:
        name = f"tensor_{len(self.arrays)}"
        self.arrays[name] = array
        return name

    def _container(self, value: Any, path: str) -> dict[str, Any]:
        again = id(value) in self._inside
        if again or len(self._inside) >= _DEEPEST:
            return self._lose("it holds itself" if again else f"more than {_DEEPEST} in one another", path)
        self._inside.append(id(value))
        encoded: dict[str, Any]
        if isinstance(value, dict):
            pairs = enumerate(value.items())
            encoded = {"dict": [[self._key(i, k, path), self._under(k, v, path)] for i, (k, v) in pairs]}
        else:
            items = [self.encode(item, f"{path}[{i}]") for i, item in enumerate(value)]
            encoded = {"list" if isinstance(value, list) else "tuple": items}
        self._inside.pop()
        return encoded

    def _under(self, key: Any, value: Any, path: str) -> dict[str, Any]:
        return self.encode(value, f"{path}[{_shown(key)}]")

    def _key(self, number: int, key: Any, path: str) -> dict[str, Any]:
        """A dict's key. One that can't be kept, or not as a key, is numbered: two must not read alike."""
        known = len(self.lost)
        encoded = self.encode(key, f"{path}: the key {_shown(key)}")
        if len(self.lost) == known and _can_be_key(encoded):
            return encoded
        del self.lost[known:]
        return self._lose(f"key {number}, a {type(key).__name__}", f"{path}: the key {_shown(key)}")

    def _numpy(self, value: Any, path: str) -> dict[str, Any]:
        if type(value) is not np.ndarray and isinstance(value, np.ndarray):
            return self._lose(f"a {type(value).__name__}", path)  # a mask or more beside the numbers
        if value.dtype.hasobject:
            return self._lose("a NumPy array of Python objects", path)
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return {kind: self._put(np.asarray(value, order="C"))}

    def _tensor(self, tensor: Tensor, path: str) -> dict[str, Any]:
        if tensor.is_quantized or tensor.is_nested or is_traceable_wrapper_subclass(tensor):
            return self._lose("a quantized, nested or wrapped tensor: convert it", path)
        about = {"dtype": _name(tensor.dtype), "shape": list(tensor.shape)}
        if tensor.is_meta:
            return {"meta": about["dtype"], "shape": about["shape"]}
        try:
            return about | self._numbers(tensor.detach().cpu(), path)
        except RuntimeError as error:
            said = str(error).partition("\n")[0]
            return self._lose(f"a tensor that torch can't copy: {said:.80}", path)

    def _numbers(self, plain: Tensor, path: str) -> dict[str, Any]:
        if plain.layout == torch.sparse_coo:
            parts = [plain._indices(), plain._values()]
            return {"sparse": self._parts(parts, path), "coalesced": plain.is_coalesced()}
        if plain.layout in _COMPRESSED:
            parts = [getattr(plain, name)() for name in _COMPRESSED[plain.layout]]
            parts.append(plain.values())
            return {"compressed": self._parts(parts, path), "layout": str(plain.layout)}
        dense = plain.resolve_conj().resolve_neg().contiguous()
        raw = dense.as_strided((dense.numel(),), (1,))  # a single number may have another stride
        return {"tensor": self._put(raw.view(torch.uint8).numpy())}

    def _parts(self, parts: list[Tensor], path: str) -> list[dict[str, Any]]:
        return [self._tensor(part, path) for part in parts]


def decode(node: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
    """What ``Encoder`` has kept. Raises ``ValueError`` or ``KeyError`` where it can't have written this."""
    for kind, read in _READERS.items():
        if kind in node:
            return read(node, arrays)
    raise ValueError(f"no kind of result: {_shown(list(node))}")


def _can_be_key(encoded: dict[str, Any]) -> bool:
    """Whether what is read of it can be a key again: a subclass of list may be one, a list can't."""
    inner = encoded.get("tuple", [])
    return not encoded.keys() & {"list", "dict"} and all(map(_can_be_key, inner))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).split(".")[1]


def _shown(value: Any) -> str:
    """``value`` in a path: short, and whatever its class does when it is printed."""
    try:
        return f"{value!r:.40}"
    except Exception:  # the worker's own class: its repr is not what is saved
        return f"a {type(value).__name__}"


def _dense(node: dict[str, Any], arrays: Mapping[str, Array]) -> Tensor:
    dtype, shape = _DTYPES[node["dtype"]], node["shape"]
    raw = torch.from_numpy(arrays[node["tensor"]].copy())
    # no bytes can't be looked at as another type
    return raw.view(dtype).reshape(shape) if len(raw) else torch.empty(shape, dtype=dtype)


def _coo(node: dict[str, Any], arrays: Mapping[str, Array]) -> Tensor:
    indices, values = (_dense(part, arrays) for part in node["sparse"])
    made = torch.sparse_coo_tensor(indices, values, node["shape"], check_invariants=True)
    return made._coalesced_(node["coalesced"])


def _compressed(node: dict[str, Any], arrays: Mapping[str, Array]) -> Tensor:
    outer, inner, values = (_dense(part, arrays) for part in node["compressed"])
    layout = _LAYOUTS[node["layout"]]
    return torch.sparse_compressed_tensor(
        outer, inner, values, node["shape"], layout=layout, check_invariants=True
    )


def _all(nodes: Collection[dict[str, Any]], arrays: Mapping[str, Array]) -> list[Any]:
    return [decode(node, arrays) for node in nodes]


_READERS: dict[str, Any] = {
    "value": lambda node, _: node["value"],
    "int": lambda node, _: int(node["int"], 16),
    "complex": lambda node, _: complex(*node["complex"]),
    "bytes": lambda node, arrays: arrays[node["bytes"]].tobytes(),
    "array": lambda node, arrays: arrays[node["array"]],
    "scalar": lambda node, arrays: arrays[node["scalar"]][()],
    "tensor": _dense,
    "sparse": _coo,
    "compressed": _compressed,
    "meta": lambda node, _: torch.empty(node["shape"], dtype=_DTYPES[node["meta"]], device="meta"),
    "list": lambda node, arrays: _all(node["list"], arrays),
    "tuple": lambda node, arrays: tuple(_all(node["tuple"], arrays)),
    "dict": lambda node, arrays: {decode(k, arrays): decode(v, arrays) for k, v in node["dict"]},
    "lost": lambda node, _: f"<{node['lost']}, which could not be saved>",
}
