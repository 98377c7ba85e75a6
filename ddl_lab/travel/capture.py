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
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from types import FunctionType, ModuleType
from typing import Any

import cloudpickle
import torch

from .blame import Part, describe_failure
from .modules import Contents, contents, fill, holders, imported_by, is_own, make_way, names_in
from .pickler import CaptureError as CaptureError
from .pickler import Pickler

LEAF_TYPES = {type(None), bool, int, float, complex, str, bytes}


class _Uncopied(Exception):
    """Data of a user's module that can't be pickled: (module, place of its holder, name)."""

    def __init__(self, keys: set[tuple[str, str, str]]) -> None:
        self.keys = keys


def _dump(value: Any, returns: bool = False, left: Collection[tuple[str, str, str]] = ()) -> bytes:
    """Sizes, the pickles, the names of the user's modules, then every storage's bytes, each copied once.

    The first pickle is ``value``; one follows for each module of the user's that it leads to, except what
    is ``left`` as it is: (module, place, name).
    """
    stream = io.BytesIO()
    pickler = Pickler(stream, returns)
    pickler.dump(value)
    pickler.renews = True
    done: list[str] = []
    while not returns and (more := [name for name in pickler.met if name not in done]):
        done.append(more[0])
        _dump_module(pickler, pickler.met[more[0]], left)
    names = "\n".join(done).encode()
    parts = [stream.getbuffer(), names, *pickler.contents]
    sizes = [memoryview(part).nbytes for part in parts]
    return b"".join([struct.pack(f"<{len(parts) + 1}Q", len(parts), *sizes), *parts])


def _dump_module(pickler: Pickler, module: ModuleType, left: Collection[tuple[str, str, str]]) -> None:
    name = module.__name__
    data = contents(module)
    for holder in holders(module).values():
        if isinstance(holder, FunctionType):
            pickler.mentioned.update(names_in(holder.__code__))
            for other in imported_by(holder.__code__):
                pickler.meet(other)
    for value in vars(module).values():
        kind = isinstance(value, (type, FunctionType))
        pickler.meet(sys.modules.get(value.__module__ or "") if kind else value)
    sent = {p: {n: v for n, v in d.items() if (name, p, n) not in left} for p, d in data.items()}
    try:
        pickler.dump(sent)
    except Exception as error:
        found = {(name, p, n) for p, d in sent.items() for n, v in d.items() if _fails(v)}
        if not found:
            raise
        _refuse_used(found, data, pickler.mentioned)
        raise _Uncopied(found) from error.with_traceback(None)


def _try(value: Any, returns: bool = False) -> None:
    """Pickle it alone, without what modules hold; raises where that can't be done."""
    Pickler(io.BytesIO(), returns).dump(value)


def _fails(value: Any) -> bool:
    pickler = Pickler(io.BytesIO())
    pickler.renews = True
    try:
        pickler.dump(value)
    except Exception:
        return True
    return False


def _refuse_used(found: set[tuple[str, str, str]], data: Contents, mentioned: set[str]) -> None:
    """A lock or an open file works as the module made it; an iterator would count for all nodes at once."""
    for module, place, name in sorted(found):
        value = data[place][name]
        if hasattr(value, "__next__") and name in mentioned:
            path = ".".join(filter(None, (module, place, name)))
            raise CaptureError(
                f"worker uses `{path}` (a {type(value).__name__}), which can't be sent to a node: "
                "create it inside the worker, or in a function that the worker calls."
            )


def _parts(data: bytes) -> Iterator[memoryview]:
    (count,) = struct.unpack_from("<Q", data)
    sizes = struct.unpack_from(f"<{count}Q", data, 8)
    bounds = pairwise(accumulate(sizes, initial=8 + 8 * count))
    return (memoryview(data)[start:end] for start, end in bounds)


def own_modules(data: bytes) -> list[str]:
    """The user's modules whose data travels with what was frozen, by name."""
    return bytes(list(_parts(data))[1]).decode().split()


def _load(data: bytes) -> Any:
    stream, _, *buffers = _parts(data)
    names = own_modules(data)
    for name in names:
        make_way(name)
    unpickler = pickle.Unpickler(io.BytesIO(stream), buffers=buffers)
    value = unpickler.load()
    for name in names:
        fill(name, unpickler.load())
    return value


def unwrapped(worker: Any) -> Any:
    """The function behind partials and behind a bound method; anything else as it is."""
    while isinstance(worker, functools.partial):
        worker = worker.func
    return getattr(worker, "__func__", worker)


def _module_of(worker: Callable[..., Any]) -> ModuleType | None:
    """The module to copy with ``worker``: its own, unless it is the course's or a library's."""
    module = sys.modules.get(getattr(unwrapped(worker), "__module__", None) or "")
    return module if is_own(module) else None


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
    left: set[tuple[str, str, str]] = set()
    with _by_value(_module_of(worker)):
        try:
            while True:
                try:
                    return _dump((worker, tuple(args)), left=left)
                except _Uncopied as uncopied:
                    left |= uncopied.keys
        except CaptureError:
            raise
        except Exception as error:
            name = getattr(worker, "__name__", "worker")
            parts = [Part(worker, name, "the worker is")]
            parts += [Part(arg, f"args[{i}]", f"{name} is given") for i, arg in enumerate(args)]
            where, mend = "to a node", "create it inside the worker."
            message = describe_failure(_try, error, parts, where, mend)
            # Without its frames, which hold all that was pickled so far.
            raise CaptureError(message) from error.with_traceback(None)


def thaw(data: bytes) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """An independent copy of what ``freeze`` took, at every call; the user's modules take the data they had.

    Only for what this user froze.
    """
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
        dump = functools.partial(_try, returns=True)
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
