"""The pickler of both engines: cloudpickle, with tensors by storage, and what a node must have of its own."""

from __future__ import annotations

import importlib
import io
import sys
import threading
import uuid
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import cloudpickle
import torch
from torch.storage import TypedStorage, UntypedStorage

from .blame import Refusal
from .modules import at, imported_by, is_installed, is_own, name_of, names_in, place_of
from .remade import reduce_remade
from .storages import Reduced, is_simple, reduce_storage, reduce_strided, typed_storage
from .unnamed import reduce_unnamed

PROTOCOL = 5


class CaptureError(TypeError):
    """The worker captures, or returned, something that can't be sent; the message names it."""

    def _render_traceback_(self) -> list[str]:
        """Notebooks show the message alone, as of every error that a learner meets."""
        return [f"{type(self).__name__}: {self}"]


# A class travels by value, and each node gets its own. A result must come back as an instance of
# the caller's class, so the caller remembers what it sent (a redefined class stays alive for its
# results) and a node's class remembers where it came from: (id, module, name).
_sent_ids: dict[type, str] = {}
_sent_classes: dict[str, type] = {}
_origins: WeakKeyDictionary[type, tuple[str, str, str]] = WeakKeyDictionary()


def _sent_id(cls: type) -> str:
    if cls not in _sent_ids:
        _sent_ids[cls] = uuid.uuid4().hex
        _sent_classes[_sent_ids[cls]] = cls
    return _sent_ids[cls]


def _nodes_class(make: Callable[..., type], args: Reduced, origin: tuple[str, str, str]) -> type:
    cls = make(*args)
    _origins[cls] = origin
    return cls


def _callers_class(sent_id: str, module: str, name: str) -> type:
    """The class that was sent; where another process sent it, the class of the same name here."""
    if sent_id in _sent_classes:
        return _sent_classes[sent_id]
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise CaptureError(
            f"a result holds a {module}.{name}, which this process doesn't know: import it first."
        )
    return found


_LOCKS: dict[type, Any] = {type(make()): make for make in (threading.Lock, threading.RLock)}


class Pickler(cloudpickle.Pickler):
    """cloudpickle, with tensors by storage, a node's own classes, and code that keeps its file."""

    def __init__(self, file: io.BytesIO, returns: bool = False) -> None:
        contents: list[Any] = []
        # Only a storage's bytes travel beside the pickle: numpy's would come back read-only.
        super().__init__(file, PROTOCOL, lambda b: not (contents and b.raw().obj is contents[-1]))
        # Arrays, not their PickleBuffers: a view of one in a garbage cycle crashes Python 3.11.
        self.contents = contents
        self._returns = returns
        self.renews = False  # makes locks anew on every node: those of the user's modules
        self._storages: dict[int, UntypedStorage] = {}  # held, so that no address is used twice
        self.met: dict[str, ModuleType] = {}  # the user's modules that the pickle leads to, by name
        self.mentioned: set[str] = set()  # the names in the code that travels

    def reducer_override(self, obj: Any) -> Any:
        for kind, reduce in _BY_KIND:
            if isinstance(obj, kind):
                return reduce(self, obj)
        if (remade := reduce_remade(obj)) is not None:
            return remade
        unnamed = None if self._returns else reduce_unnamed(obj)
        if unnamed is not None and not is_installed(sys.modules.get(obj.__module__)):
            self.meet(sys.modules.get(obj.__module__))
            return unnamed
        if isinstance(obj, FunctionType):
            return self._reduce_function(obj)
        if self.renews and type(obj) in _LOCKS:
            return _LOCKS[type(obj)], ()  # nodes of a simulation would wait for each other for ever
        if isinstance(obj, io.TextIOWrapper) and obj not in (sys.stdout, sys.stderr):
            raise Refusal()  # cloudpickle would send the whole file's text
        if isinstance(obj, threading.Thread):
            raise Refusal()  # its locks could be made anew, it itself could not
        return super().reducer_override(obj)

    def _reduce_tensor(self, tensor: torch.Tensor) -> Any:
        if tensor.grad_fn is not None:
            raise Refusal("it carries a gradient history, use `{}.detach()`.")
        # Else torch's own reduction, which leads to a storage as well.
        return reduce_strided(tensor) if is_simple(tensor) else NotImplemented

    def _reduce_typed_storage(self, storage: TypedStorage) -> Reduced:
        return typed_storage, (storage._untyped_storage, storage.dtype)

    def _reduce_storage(self, storage: UntypedStorage) -> Reduced:
        first = self._storages.setdefault(storage._cdata, storage)
        if first is not storage:
            return _itself, (first,)
        reduced, content = reduce_storage(storage)
        if content is not None:
            self.contents.append(content)
        return reduced

    def meet(self, module: Any) -> None:
        """Note one of the user's modules that goes by name: what it holds must follow."""
        if is_own(module) and not _by_value(module):
            self.met.setdefault(module.__name__, module)

    def _reduce_module(self, module: ModuleType) -> Any:
        """By name, subclasses too (``torch.backends``); one made by hand as cloudpickle does."""
        if _by_value(module):
            return super().reducer_override(module)
        name = name_of(module)
        if name is not None:
            self.meet(module)
            return importlib.import_module, (name,)
        parent, _, last = module.__name__.rpartition(".")
        if getattr(sys.modules.get(parent), last, None) is module:  # torch.ops.aten
            return getattr, (sys.modules[parent], last)
        return NotImplemented

    def _reduce_function(self, function: FunctionType) -> Any:
        reduced = super().reducer_override(function)
        module: Any = sys.modules.get(function.__module__ or "")
        if self._returns or not is_own(module) or _by_value(module):
            return reduced
        self.meet(module)
        place = None if reduced is NotImplemented else place_of(function, module)
        return reduced if place is None else (at, (module.__name__, place))

    def _reduce_code(self, code: CodeType) -> Reduced:
        """As cloudpickle does, but with the file's name: a traceback must show the learner's cell."""
        self.mentioned.update(names_in(code))
        for module in imported_by(code):
            self.meet(module)
        return _code_in_file, (code.co_filename, *cloudpickle.cloudpickle._code_reduce(code))

    def _reduce_class(self, cls: type) -> Any:
        origin = _origins.get(cls)
        if origin and self._returns:
            return _callers_class, origin
        reduced = super().reducer_override(cls)
        if reduced is NotImplemented or len(reduced) < 6:
            self.meet(sys.modules.get(cls.__module__))
            return reduced  # by reference
        make, args, *rest = reduced
        # Without cloudpickle's id for the class every load makes a new one: two nodes of a
        # simulation would otherwise get the same class, and write over each other's attributes.
        tracked = cloudpickle.cloudpickle._get_or_create_tracker_id(cls)
        args = tuple(None if arg is tracked else arg for arg in args)
        if self._returns:  # a class that the node made
            return make, args, *rest
        return _nodes_class, (make, args, (_sent_id(cls), cls.__module__, cls.__qualname__)), *rest


_BY_KIND: tuple[tuple[type, Callable[[Pickler, Any], Any]], ...] = (
    (torch.Tensor, Pickler._reduce_tensor),
    (TypedStorage, Pickler._reduce_typed_storage),
    (UntypedStorage, Pickler._reduce_storage),
    (type, Pickler._reduce_class),
    (ModuleType, Pickler._reduce_module),
    (CodeType, Pickler._reduce_code),
)


def _by_value(module: ModuleType) -> bool:
    """Whether it is the worker's own module, of which each node has a copy."""
    return module.__name__ in cloudpickle.list_registry_pickle_by_value()


def _code_in_file(file: str, make: Callable[..., CodeType], args: Reduced) -> CodeType:
    return make(*args).replace(co_filename=file)


def _itself(value: Any) -> Any:
    return value
