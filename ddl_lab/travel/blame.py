"""Which part of a worker, or of its result, can't be pickled, named as the learner knows it:
``lock``, ``config['lock']``, ``trainer.lock``: the smallest part that fails by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from cloudpickle.cloudpickle import _extract_code_globals
from torch import nn

MOST_PARTS = 5_000
DEEPEST = 40


class Refusal(TypeError):
    """What the pickler could send but should not; the text is the mend, with {} for the path."""


class Part(NamedTuple):
    """A value on the way from the worker to what it captures."""

    value: Any
    path: str  # "config['lock']"
    owner: str  # "worker captures", "rank 1 returned"


class _Search:
    """Depth first, each value once. A part that fails while no part of it does is the culprit."""

    def __init__(self, dump: Callable[[Any], object]) -> None:
        self._dump = dump
        # by id: the value, held so that the id stays its own, and its error
        self._seen: dict[int, tuple[Any, Exception | None]] = {}

    def error_of(self, value: Any) -> Exception | None:
        if id(value) not in self._seen:
            self._seen[id(value)] = value, self._try(value)
        return self._seen[id(value)][1]

    def _try(self, value: Any) -> Exception | None:
        try:
            self._dump(value)
        except Exception as error:
            return error.with_traceback(None)  # its frames would hold every pickle tried
        return None

    def culprit(self, part: Part, depth: int = 0) -> Part | None:
        if self.error_of(part.value) is None or depth > DEEPEST:
            return None
        parts_fail = False
        for inner in _parts(part):
            if len(self._seen) > MOST_PARTS:
                return None
            known = id(inner.value) in self._seen
            if self.error_of(inner.value) is not None:
                parts_fail = True
                found = None if known else self.culprit(inner, depth + 1)
                if found:
                    return found
        return None if parts_fail else part


def _parts(part: Part) -> Iterator[Part]:
    """What a pickle of ``part`` holds, one level down."""
    value, path, owner = part
    if isinstance(value, FunctionType):
        name = value.__qualname__.rpartition("<locals>.")[2]
        yield from (Part(v, k, f"{name} captures") for k, v in captured(value).items())
    elif isinstance(value, MethodType):
        yield Part(value.__func__, value.__name__, owner)
        yield Part(value.__self__, "self", f"{value.__qualname__} captures")
    elif isinstance(value, partial):
        owner = f"{getattr(value.func, '__name__', path)} is given"
        yield Part(value.func, path, owner)
        yield from (Part(v, f"args[{i}]", owner) for i, v in enumerate(value.args))
        yield from (Part(v, k, owner) for k, v in value.keywords.items())
    elif isinstance(value, (staticmethod, classmethod)):
        yield Part(value.__func__, path, owner)
    elif isinstance(value, property):
        yield from (Part(f, path, owner) for f in (value.fget, value.fset) if f)
    elif isinstance(value, Mapping):
        yield from (Part(v, f"{path}[{k!r}]", owner) for k, v in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from (Part(v, f"{path}[{i}]", owner) for i, v in enumerate(value))
    yield from (Part(v, f"{path}.{k}", owner) for k, v in _attributes(value).items())
    if not isinstance(value, type):
        yield Part(type(value), type(value).__name__, owner)


def captured(function: FunctionType) -> dict[str, Any]:
    """The globals, closure and defaults of ``function``, by the names they have in its code."""
    code = function.__code__
    names = [name for name in _extract_code_globals(code) if name in function.__globals__]
    found = {name: function.__globals__[name] for name in names}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    defaults = function.__defaults__ or ()
    positional = code.co_varnames[: code.co_argcount]
    found.update(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    return found | (function.__kwdefaults__ or {})


def _attributes(value: Any) -> dict[str, Any]:
    """The attributes that a pickle of ``value`` holds."""
    if isinstance(value, (type, FunctionType)):
        return dict(vars(value))
    try:
        state = value.__reduce_ex__(5)[2]
    except Exception:  # it refuses as a whole, or has no state
        return {}
    found: dict[str, Any] = {}
    for attributes in state if isinstance(state, tuple) else (state,):  # __dict__ and slots
        found |= attributes if isinstance(attributes, dict) else {}
    if isinstance(value, nn.Module):  # reached as attributes, stored in dictionaries
        for group in ("_parameters", "_buffers", "_modules"):
            found = dict(found.pop(group, {})) | found
    return found


def describe_failure(
    dump: Callable[[Any], object], error: Exception, parts: Sequence[Part], where: str, mend: str
) -> str:
    """Why ``parts`` failed with ``error``: "worker captures `lock` (a _thread.lock), which …"."""
    search = _Search(dump)
    found = next(filter(None, map(search.culprit, parts)), None)
    if found is None:
        first = next((part for part in parts if search.error_of(part.value)), parts[0])
        reason = f"{type(error).__name__}: {error}"
        return f"{first.owner} `{first.path}`, which can't be sent {where} ({reason}): {mend}"
    refused = search.error_of(found.value)
    if isinstance(refused, Refusal) and str(refused):
        mend = str(refused).format(found.path)
    culprit = f"`{found.path}` ({_kind(found.value)})"
    return f"{found.owner} {culprit}, which can't be sent {where}: {mend}"


def _kind(value: Any) -> str:
    """Its type with an article: "a _thread.lock"."""
    module, name = type(value).__module__, type(value).__qualname__
    name = name if module in ("builtins", "__main__") else f"{module}.{name}"
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
