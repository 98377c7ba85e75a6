"""What refuses to be pickled and can be made again: scripted and normed modules, compiled functions"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from .storages import Reduced

_parametrize: Any = parametrize


def reduce_remade(value: Any) -> Reduced | None:
    """``value`` as how to make it again; None for all that pickles by itself."""
    for kind, reduce in _KINDS:
        if isinstance(value, kind):
            return reduce(value)
    return None


def _scripted(module: Any) -> Reduced:
    """As torch saves it; what Python alone knows of it (hooks, attributes that were added) stays behind."""
    stream = io.BytesIO()
    torch.jit.save(module, stream)
    return _load_scripted, (stream.getvalue(),)


def _load_scripted(saved: bytes) -> Any:
    return torch.jit.load(io.BytesIO(saved))


def _module(module: nn.Module) -> Reduced | None:
    if parametrize.is_parametrized(module):
        made: Any = super(type(module), module)  # below the class that torch has put on top, which refuses
        names = list(module.parametrizations)  # type: ignore[arg-type]
        return _parametrized, (type(module).__bases__[0], names), made.__getstate__()
    norms = [
        hook for hook in module._forward_pre_hooks.values() if isinstance(hook, (WeightNorm, SpectralNorm))
    ]
    return _normed(module, norms) if norms else None


def _parametrized(cls: type[nn.Module], names: list[str]) -> nn.Module:
    module = cls.__new__(cls)
    _parametrize._inject_new_class(module)
    for name in names:
        _parametrize._inject_property(module, name)
    return module


def _normed(module: nn.Module, norms: list[Any]) -> Reduced:
    """Without the weight that torch's older norms make in each forward pass, which is part of a graph."""
    reduced: Any = module.__reduce_ex__(2)
    make, args, state, *_ = reduced
    left = {name: value for name, value in state.items() if name not in {norm.name for norm in norms}}
    return make, args, (left, norms), None, None, _set_normed


def _set_normed(module: nn.Module, state: tuple[dict[str, Any], list[Any]]) -> None:
    left, norms = state
    module.__setstate__(left)
    for norm in norms:
        no_step = [False] if isinstance(norm, SpectralNorm) else []
        setattr(module, norm.name, norm.compute_weight(module, *no_step))


def _cached_property(prop: Any) -> Reduced:
    """Without the lock that Python 3.11 gives it."""
    return functools.cached_property, (prop.func,), {"attrname": prop.attrname}


def _compiled(function: FunctionType) -> Reduced | None:
    """The function below ``torch.compile``, to be compiled once more in the same way."""
    if not getattr(function, "_is_torch_compile", False):
        return None
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    below = vars(function)["_torchdynamo_orig_callable"]
    return (_call, (cells["self"].cell_contents, below)) if "self" in cells else None


def _call(context: Callable[..., Any], function: Any) -> Any:
    return context(function)


_KINDS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Reduced | None]], ...] = (
    ((torch.jit.ScriptModule, torch.jit.ScriptFunction), _scripted),
    (nn.Module, _module),
    (functools.cached_property, _cached_property),
    (FunctionType, _compiled),
)
