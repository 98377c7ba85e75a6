"""What pickles would send by its name in a module, and yet holds data or was made in a notebook's cell."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any, NewType

from .storages import Reduced


def reduce_unnamed(value: Any) -> Reduced | None:
    """A cached function, a ``singledispatch`` or a ``NewType`` as how to make it; None for all else.

    A cache is empty where it arrives: what was computed before is computed again.
    """
    if isinstance(value, functools._lru_cache_wrapper):
        asked = value.cache_parameters()
        return _cached, (value.__wrapped__, asked["maxsize"], asked["typed"], dict(vars(value)))
    if isinstance(value, NewType):
        names: Any = value
        return _new_type, (value.__name__, value.__supertype__, names.__module__, names.__qualname__)
    if isinstance(value, FunctionType) and hasattr(value, "registry") and hasattr(value, "dispatch"):
        registered = dict(value.registry)
        usual = registered.pop(object)
        return functools.singledispatch, (usual,), registered, None, None, _register
    return None


def _cached(function: Callable[..., Any], maxsize: int | None, typed: bool, more: dict[str, Any]) -> Any:
    wrapper = functools.lru_cache(maxsize, typed)(function)
    vars(wrapper).update(more)
    return wrapper


def _new_type(name: str, supertype: Any, module: str, qualname: str) -> Any:
    made: Any = NewType(name, supertype)  # type: ignore[misc]
    made.__module__, made.__qualname__ = module, qualname
    return made


def _register(function: Any, registered: dict[type, Any]) -> None:
    for kind, implementation in registered.items():
        function.register(kind, implementation)
