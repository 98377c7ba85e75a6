"""The user's own modules: they travel by name, the data in them by value, so that each node has its own.

A module's functions and classes stay those that ``import`` gives (for ``isinstance``, ``except``, pickles).
What they hold is data: a module's variables, attributes of its classes and functions, defaults, closures.
Modules of the standard library, of site-packages and of ddl_lab are left as they are.
"""

from __future__ import annotations

import dis
import enum
import functools
import importlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

_NO_DATA = (
    *(ModuleType, type, FunctionType, BuiltinFunctionType, MethodType, staticmethod, classmethod, property),
    *(GetSetDescriptorType, MemberDescriptorType),
)
_INSTALLED = {"site-packages", "dist-packages"}

Contents = dict[str, dict[str, Any]]  # by a holder's place in the module, by name


@functools.cache
def _of_a_library(file: str) -> bool:
    """Whether ``file`` belongs to the standard library, to an installed package or to this one."""
    paths = sysconfig.get_paths()
    roots = {Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    path = Path(file).resolve()
    return (
        bool(roots & set(path.parents))
        or Path(__file__).parents[1] in path.parents
        or bool(_INSTALLED & set(path.parts))
    )


def is_own(module: object) -> bool:
    """Whether this is a module of the user's, with a file of its own, and not the program itself."""
    file = getattr(module, "__file__", None)
    if not isinstance(module, ModuleType) or not isinstance(file, str):
        return False
    named = sys.modules.get(module.__name__) is module and not module.__name__.startswith("__m")
    return named and not _of_a_library(file)


def is_installed(module: object) -> bool:
    """Whether this is a library's module, of which all nodes of a process share what it holds."""
    program = getattr(module, "__name__", "").startswith("__m")  # __main__, __mp_main__
    return isinstance(module, ModuleType) and not program and not is_own(module)


def name_of(module: ModuleType) -> str | None:
    """By which name any process imports ``module``; None where it has none (one made by hand)."""
    if sys.modules.get(module.__name__) is module:
        return module.__name__
    return next((name for name, other in tuple(sys.modules.items()) if other is module), None)


def imported_by(code: CodeType) -> Iterator[ModuleType]:
    """The user's modules that ``code``, and the functions made in it, import when they run."""
    for part in _codes(code):
        if any(is_own(sys.modules.get(name)) for name in part.co_names):
            asked = [step.argval for step in dis.get_instructions(part) if step.opname == "IMPORT_NAME"]
            yield from (sys.modules[name] for name in asked if is_own(sys.modules.get(name)))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def names_in(code: CodeType) -> Iterator[str]:
    """Globals and attributes that ``code`` mentions."""
    for part in _codes(code):
        yield from part.co_names


# -- what holds data ------------------------------------------------------------------------------


def holders(module: ModuleType) -> dict[str, Any]:
    """All that holds data of ``module``'s own, by its place: "", "Config", "bump", "bump.0" (wrapped)."""
    found: dict[str, Any] = {"": module}
    _hold(module.__name__, vars(module).items(), "", found, {id(module)})
    return found


def _hold(
    module: str, items: Iterable[tuple[str, Any]], path: str, found: dict[str, Any], seen: set[int]
) -> None:
    for name, value in tuple(items):
        for part, holder in _parts(value):
            if id(holder) in seen or getattr(holder, "__module__", None) != module:
                continue
            seen.add(id(holder))
            place = f"{path}{name}{part}"
            found[place] = holder
            if isinstance(holder, type):
                _hold(module, vars(holder).items(), f"{place}.", found, seen)
            else:
                cells = ((str(i), v) for i, v in enumerate(_cells(holder)))
                _hold(module, cells, f"{place}.", found, seen)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """The classes and functions in an attribute, each with a suffix for its place."""
    if isinstance(value, property):
        for part in ("fget", "fset", "fdel"):
            yield f".{part}", getattr(value, part)
    elif isinstance(value, (staticmethod, classmethod)):
        yield "", value.__func__
    elif isinstance(value, functools._lru_cache_wrapper):
        yield ".__wrapped__", value.__wrapped__
    elif isinstance(value, FunctionType) or (isinstance(value, type) and not issubclass(value, enum.Enum)):
        yield "", value


def _cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            yield None


def place_of(function: FunctionType, module: ModuleType) -> str | None:
    """Where ``module`` holds a function that no name leads to, one that a decorator has wrapped."""
    return next((place for place, holder in holders(module).items() if holder is function), None)


def at(module: str, place: str) -> Any:
    """What ``place_of`` has found, in any process."""
    return holders(importlib.import_module(module))[place]


# -- what they hold -------------------------------------------------------------------------------


def _is_data(name: str, value: Any) -> bool:
    if isinstance(value, FunctionType):  # not the module's own where a notebook has put it in
        return hasattr(value, "registry") or value.__module__ == "__main__"
    if isinstance(value, type) and value.__module__ == "__main__":
        return True
    special = (name.startswith("__") and name.endswith("__")) or name == "_abc_impl"
    return not special and not isinstance(value, _NO_DATA)


def contents(module: ModuleType) -> Contents:
    """The data of ``module`` as it stands now."""
    return {place: _data(holder) for place, holder in holders(module).items()}


def _data(holder: Any) -> dict[str, Any]:
    found = {name: value for name, value in vars(holder).items() if _is_data(name, value)}
    if isinstance(holder, FunctionType):
        cells = enumerate(_cells(holder))
        found |= {f"{i} ": value for i, value in cells if _is_data("", value)}  # no name of a variable
        found |= {
            name: getattr(holder, name)
            for name in ("__defaults__", "__kwdefaults__")
            if getattr(holder, name) is not None
        }
    return found


def make_way(name: str) -> None:
    """Let ``name`` mean the user's module, also where this process has loaded a library's of that name.

    The user's ``calendar.py`` comes first on the path, but who started this process may have come before it.
    """
    if name in sys.modules and not is_own(sys.modules[name]):
        del sys.modules[name]


def fill(name: str, data: Contents) -> None:
    """Import module ``name`` and give its holders this data."""
    module = importlib.import_module(name)
    found = holders(module)
    for place, values in data.items():
        for attribute, value in values.items():
            if attribute.endswith(" "):
                found[place].__closure__[int(attribute)].cell_contents = value
            else:
                setattr(found[place], attribute, value)


class Spaces:
    """What some modules hold, to be taken and put back whole, many times a second."""

    def __init__(self, names: Iterable[str]) -> None:
        found = [holder for name in names for holder in holders(sys.modules[name]).values()]
        self._classes = [holder for holder in found if isinstance(holder, type)]
        self._functions = [holder for holder in found if isinstance(holder, FunctionType)]
        self._open = [vars(holder) for holder in found if not isinstance(holder, type)]
        self._cells = [cell for function in self._functions for cell in function.__closure__ or ()]

    def take(self) -> Any:
        """All that they hold now."""
        defaults = [(function.__defaults__, function.__kwdefaults__) for function in self._functions]
        cells = [_content(cell) for cell in self._cells]
        return list(map(dict, self._open)), [dict(vars(cls)) for cls in self._classes], defaults, cells

    def put(self, taken: Any) -> None:
        """Let them hold again what was taken."""
        spaces, classes, defaults, cells = taken
        for space, names in zip(self._open, spaces, strict=True):
            _refill(space, names)
        for cls, names in zip(self._classes, classes, strict=True):
            _reset(cls, names)
        for function, (by_place, by_name) in zip(self._functions, defaults, strict=True):
            function.__defaults__, function.__kwdefaults__ = by_place, by_name
        for cell, content in zip(self._cells, cells, strict=True):
            if content is not cell:
                cell.cell_contents = content


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return cell  # itself, for: not assigned yet


def _refill(space: dict[str, Any], names: dict[str, Any]) -> None:
    """As ``clear`` and ``update``, but at no time is a name missing that stays."""
    space.update(names)
    if len(space) != len(names):
        for name in space.keys() - names.keys():
            del space[name]


def _reset(cls: type, names: dict[str, Any]) -> None:
    now = vars(cls)
    for name in now.keys() - names.keys():
        delattr(cls, name)
    for name, value in names.items():
        if name not in now or now[name] is not value:
            setattr(cls, name, value)
