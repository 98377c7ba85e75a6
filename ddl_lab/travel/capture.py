"""What travels between the caller and a node: the worker with all it captures, and its results.

One pickler serves both engines. Each ``thaw`` makes a node's own copy of everything the worker
captures: globals, closures, defaults, classes, all that its module lends it. Tensors are kept by
storage, so that views stay tied: a model's parameters still lie in their flat tensor, and two views
of one tensor still see each other's writes. The storages of the course's data sets are shared, not
copied. A tensor's ``.grad`` and hooks stay behind.

These are pickles: thaw only what your own processes froze.
"""

from __future__ import annotations

import functools
import io
import pickle
import struct
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from types import CodeType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import cloudpickle
import torch
from torch.storage import TypedStorage, UntypedStorage

from .blame import Part, Refusal, describe_failure
from .storages import is_simple, reduce_storage, reduce_strided, typed_storage

PROTOCOL = 5
NOT_BY_VALUE = {"ddl_lab", "torch", "numpy", *sys.stdlib_module_names}
LEAF_TYPES = {type(None), bool, int, float, complex, str, bytes}

Reduced = tuple[Any, ...]


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


class _Pickler(cloudpickle.Pickler):
    """cloudpickle, with tensors by storage, a node's own classes, and code that keeps its file."""

    def __init__(self, file: io.BytesIO, returns: bool = False) -> None:
        contents: list[Any] = []
        # Only a storage's bytes travel beside the pickle: numpy's would come back read-only.
        super().__init__(file, PROTOCOL, lambda b: not (contents and b.raw().obj is contents[-1]))
        # Arrays, not their PickleBuffers: a view of one in a garbage cycle crashes Python 3.11.
        self.contents = contents
        self._returns = returns
        self._storages: dict[int, UntypedStorage] = {}  # held, so that no address is used twice

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, torch.Tensor):
            if obj.grad_fn is not None:
                raise Refusal("it carries a gradient history, use `{}.detach()`.")
            # Else torch's own reduction, which leads to a storage as well.
            return reduce_strided(obj) if is_simple(obj) else NotImplemented
        if isinstance(obj, TypedStorage):
            return typed_storage, (obj._untyped_storage, obj.dtype)
        if isinstance(obj, UntypedStorage):
            return self._reduce_storage(obj)
        if isinstance(obj, type):
            return self._reduce_class(obj)
        if isinstance(obj, io.TextIOWrapper) and obj not in (sys.stdout, sys.stderr):
            raise Refusal()  # cloudpickle would send the whole file's text
        return super().reducer_override(obj)

    def _reduce_storage(self, storage: UntypedStorage) -> Reduced:
        first = self._storages.setdefault(storage._cdata, storage)
        if first is not storage:
            return _itself, (first,)
        reduced, content = reduce_storage(storage)
        if content is not None:
            self.contents.append(content)
        return reduced

    def _reduce_class(self, cls: type) -> Any:
        origin = _origins.get(cls)
        if origin and self._returns:
            return _callers_class, origin
        reduced = super().reducer_override(cls)
        if reduced is NotImplemented or len(reduced) < 6:
            return reduced  # by reference
        make, args, *rest = reduced
        # Without cloudpickle's id for the class every load makes a new one: two nodes of a
        # simulation would otherwise get the same class, and write over each other's attributes.
        tracked = cloudpickle.cloudpickle._get_or_create_tracker_id(cls)
        args = tuple(None if arg is tracked else arg for arg in args)
        if self._returns:  # a class that the node made
            return make, args, *rest
        return _nodes_class, (make, args, (_sent_id(cls), cls.__module__, cls.__qualname__)), *rest


def _reduce_code(code: CodeType) -> Reduced:
    """As cloudpickle does, but with the file's name: a traceback must show the learner's cell."""
    return _code_in_file, (code.co_filename, *cloudpickle.cloudpickle._code_reduce(code))


def _code_in_file(file: str, make: Callable[..., CodeType], args: Reduced) -> CodeType:
    return make(*args).replace(co_filename=file)


_Pickler.dispatch_table = _Pickler.dispatch_table.new_child({CodeType: _reduce_code})


def _itself(value: Any) -> Any:
    return value


def _dump(value: Any, returns: bool = False) -> bytes:
    """Sizes, the pickle, then every storage's bytes: each byte of a tensor is copied once."""
    stream = io.BytesIO()
    pickler = _Pickler(stream, returns)
    pickler.dump(value)
    parts = [stream.getbuffer(), *pickler.contents]
    head = struct.pack(f"<{len(parts) + 1}Q", len(parts), *(part.nbytes for part in parts))
    return b"".join([head, *parts])


def _load(data: bytes) -> Any:
    (count,) = struct.unpack_from("<Q", data)
    sizes = struct.unpack_from(f"<{count}Q", data, 8)
    bounds = pairwise(accumulate(sizes, initial=8 + 8 * count))
    stream, *buffers = (memoryview(data)[start:end] for start, end in bounds)
    return pickle.loads(stream, buffers=buffers)


def _module_of(worker: Callable[..., Any]) -> ModuleType | None:
    """The module to copy with ``worker``: its own, unless it is the course's or a library's."""
    while isinstance(worker, functools.partial):
        worker = worker.func
    name = getattr(worker, "__module__", None) or ""
    return None if name.partition(".")[0] in NOT_BY_VALUE else sys.modules.get(name)


@contextmanager
def _by_value(module: ModuleType | None) -> Iterator[None]:
    if module is None or module.__name__ in cloudpickle.list_registry_pickle_by_value():
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def freeze(worker: Callable[..., Any], args: Sequence[Any] = ()) -> bytes:
    """``worker`` and ``args``, with all they capture; ``CaptureError`` names what can't be sent."""
    with _by_value(_module_of(worker)):
        try:
            return _dump((worker, tuple(args)))
        except Exception as error:
            name = getattr(worker, "__name__", "worker")
            parts = [Part(worker, name, "the worker is")]
            parts += [Part(arg, f"args[{i}]", f"{name} is given") for i, arg in enumerate(args)]
            where, mend = "to a node", "create it inside the worker."
            message = describe_failure(_dump, error, parts, where, mend)
            # Without its frames, which hold all that was pickled so far.
            raise CaptureError(message) from error.with_traceback(None)


def thaw(data: bytes) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """An independent copy of what ``freeze`` took, at every call. Only for what this user froze."""
    try:
        worker, args = _load(data)
    except RecursionError:
        raise CaptureError(
            "the worker captures something that can't be rebuilt on a node: its __getattr__ asks for an "
            "attribute that is not there yet, without end (a tqdm bar does). Create it inside the worker."
        ) from None
    return worker, args


def freeze_result(value: Any, rank: int | None = None) -> bytes:
    """What a worker returned, as bytes; ``rank`` is named if ``value`` can't be sent."""
    try:
        return _dump(value, returns=True)
    except Exception as error:
        who = "a worker" if rank is None else f"rank {rank}"
        parts = [Part(value, "result", f"{who} returned")]
        where, mend = "back", "return tensors, numbers, or containers of them."
        dump = functools.partial(_dump, returns=True)
        message = describe_failure(dump, error, parts, where, mend)
        raise CaptureError(message) from error.with_traceback(None)


def thaw_result(data: bytes) -> Any:
    """The value that ``freeze_result`` took; its objects are instances of the caller's classes."""
    return _load(data)


def is_plain(value: Any, depth: int = 32) -> bool:
    """Whether a round trip changes nothing: numbers, text, detached CPU tensors, containers."""
    kind = type(value)
    if kind in LEAF_TYPES:
        return True
    if kind is torch.Tensor:
        return bool(value.device.type == "cpu" and not value.requires_grad)
    if depth == 0 or kind not in (list, tuple, dict):
        return False
    items = [*value.keys(), *value.values()] if kind is dict else value
    return all(is_plain(item, depth - 1) for item in items)
