"""Settings of the whole process that belong to a node: output, warnings, logging, environment, torch's flags.

A simulation reads them at every switch and writes only those in which two nodes differ. What lies in lists
and dictionaries is looked at where a cheap sign says that it has changed: a new first filter of ``warnings``,
one more handler of ``logging``, a write to ``os.environ``, a call of ``os.chdir`` or ``signal.signal``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import _device

from . import signals
from .meanwhile import shared

_C: Any = torch._C
_events: Any = asyncio.events
_warnings: Any = warnings
_logging: Any = logging

Settings = tuple[Any, ...]


class _Watched(dict[bytes, bytes]):
    """The content of ``os.environ`` while nodes take turns: it notes that it has been written to."""

    def __setitem__(self, name: bytes, value: bytes) -> None:
        _seen["environ"] = None
        super().__setitem__(name, value)

    def __delitem__(self, name: bytes) -> None:
        _seen["environ"] = None
        super().__delitem__(name)


# What was last read or written, by setting, while no sign says that it has changed; None: read anew.
_seen: dict[str, Any] = {"environ": None, "cwd": None, "filters": None, "logging": None}
profiled = [False]  # whether the caller of a simulation profiles it: nodes then call inside its block


@contextmanager
def watched() -> Iterator[None]:
    """While it lasts, writes to the environment and changes of the working folder are noticed."""
    environ: Any = os.environ
    plain, chdir = environ._data, os.chdir

    def noted(path: Any) -> None:
        _seen["cwd"] = None
        chdir(path)

    environ._data, os.chdir = _Watched(plain), noted
    _seen.update(dict.fromkeys(_seen))
    profiled[0] = _C._autograd._profiler_enabled()
    try:
        with shared(), signals.watched():
            yield
    finally:
        plain.clear()
        plain.update(environ._data)
        environ._data, os.chdir = plain, chdir
        profiled[0] = False


def read() -> Settings:
    """The settings as they are now."""
    return (
        sys.stdout,
        sys.stderr,
        _warnings.showwarning,
        _warnings._showwarnmsg_impl,
        _filters(),
        _log(),
        _seen["environ"] or _environ(),
        _seen["cwd"] or _cwd(),
        signals.read(),
        _figures(),
        _modes() if _device.CURRENT_DEVICE is not None or _C._len_torch_function_stack() else _NO_MODES,
        _C._len_torch_dispatch_stack() and _dispatch_modes(),
        torch.is_anomaly_enabled() and 1 + torch.is_anomaly_check_nan_enabled(),
        _C._get_deterministic_algorithms() and 1 + _C._get_deterministic_algorithms_warn_only(),
        _C._get_cudnn_benchmark(),
        _C._get_cudnn_deterministic(),
        _loop(),
        _C._get_mkldnn_enabled(),
        _C._get_float32_matmul_precision(),
    )


def of_a_fresh_process(now: Settings) -> Settings:
    """What a node begins with: output, warnings, logging, environment, signals as its caller has them."""
    return (*now[:9], 0, _NO_MODES, 0, False, False, False, False, None, True, "highest")


def write(target: Settings, now: Settings) -> None:
    """Put ``target`` in force, where it differs from what is in force ``now``."""
    for put, wanted, there in zip(_WRITERS, target, now, strict=True):
        if wanted is not there and wanted != there:
            put(wanted)


# -- each setting: its reading where it takes more than a line, and its writing -------------------


def _filters() -> Any:
    seen, now = _seen["filters"], _warnings.filters
    if seen is None or now is not seen[0] or len(now) != len(seen[1]) or (now and now[0] is not seen[1][0]):
        seen = _seen["filters"] = (now, tuple(now))
    return seen


def _put_filters(wanted: Any) -> None:
    _warnings.filters, content = wanted
    if tuple(_warnings.filters) != content:
        _warnings.filters[:] = content
    _warnings._filters_mutated()
    _seen["filters"] = (wanted[0], tuple(wanted[0]))


def _log() -> Any:
    root, seen = logging.root, _seen["logging"]
    sign = root.level, len(root.handlers), len(_logging._handlerList), len(root.manager.loggerDict)
    if seen is None or sign != seen[0]:
        named = [logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
        state = {logger: (logger.level, tuple(logger.handlers)) for logger in (root, *named)}
        seen = _seen["logging"] = sign, state
    return seen


def _put_log(wanted: Any) -> None:
    _, now = _log()
    for logger in now:
        level, handlers = wanted[1].get(logger, (logging.NOTSET, ()))
        if logger.level != level:
            logger.setLevel(level)
        if tuple(logger.handlers) != handlers:
            logger.handlers[:] = handlers
    _seen["logging"] = None


def _environ() -> dict[bytes, bytes]:
    environ: Any = os.environ
    found = _seen["environ"] = dict(environ._data)
    return found


def _put_environ(wanted: dict[bytes, bytes]) -> None:
    environ: Any = os.environ
    for name in environ._data.keys() - wanted.keys():
        del os.environ[environ.decodekey(name)]
    for name, value in wanted.items():
        if environ._data.get(name) != value:
            os.environ[environ.decodekey(name)] = environ.decodevalue(value)
    _seen["environ"] = wanted


def _cwd() -> str:
    try:
        _seen["cwd"] = os.getcwd()
    except FileNotFoundError:  # it has been deleted: nothing brings it back
        _seen["cwd"] = os.curdir
    return str(_seen["cwd"])


def _put_cwd(wanted: str) -> None:
    os.chdir(wanted)
    _seen["cwd"] = wanted


def _figures() -> Any:
    """pyplot's figures, the last of which is the current one; 0 for none."""
    helpers: Any = sys.modules.get("matplotlib._pylab_helpers")
    return (helpers and helpers.Gcf.figs) or 0


def _put_figures(wanted: Any) -> None:
    helpers: Any = sys.modules["matplotlib._pylab_helpers"]
    helpers.Gcf.figs = wanted or OrderedDict()


_NO_MODES = ((), None, None)


def _modes() -> Any:
    """torch's function modes, and the device of ``set_default_device``, which is one of them."""
    modes = tuple(_C._get_function_stack_at(i) for i in range(_C._len_torch_function_stack()))
    return modes, getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None), _device.CURRENT_DEVICE


def _put_modes(wanted: Any) -> None:
    modes, torch._GLOBAL_DEVICE_CONTEXT.device_context, _device.CURRENT_DEVICE = wanted
    for _ in range(_C._len_torch_function_stack()):
        _C._pop_torch_function_stack()
    for mode in modes:
        _C._push_on_torch_function_stack(mode)


def _dispatch_modes() -> Any:
    return tuple(_C._get_dispatch_stack_at(i) for i in range(_C._len_torch_dispatch_stack()))


def _put_dispatch_modes(wanted: Any) -> None:
    for _ in range(_C._len_torch_dispatch_stack()):
        _C._pop_torch_dispatch_stack(None)
    for mode in wanted or ():
        _C._push_on_torch_dispatch_stack(mode)


def _loop() -> Any:
    """asyncio's running loop, which a notebook's caller has too, and the hooks that go with it."""
    loop = _events._get_running_loop()
    return loop and (loop, sys.get_asyncgen_hooks())


def _put_loop(wanted: Any) -> None:
    loop, hooks = wanted or (None, (None, None))
    _events._set_running_loop(loop)
    sys.set_asyncgen_hooks(*hooks)


def _put_attribute(owner: Any, name: str) -> Any:
    return lambda wanted: setattr(owner, name, wanted)


_WRITERS = (
    _put_attribute(sys, "stdout"),
    _put_attribute(sys, "stderr"),
    _put_attribute(warnings, "showwarning"),
    _put_attribute(warnings, "_showwarnmsg_impl"),
    _put_filters,
    _put_log,
    _put_environ,
    _put_cwd,
    signals.put,
    _put_figures,
    _put_modes,
    _put_dispatch_modes,
    lambda wanted: torch.autograd.set_detect_anomaly(bool(wanted), check_nan=wanted != 1),
    lambda wanted: torch.use_deterministic_algorithms(bool(wanted), warn_only=wanted == 2),
    _C._set_cudnn_benchmark,
    _C._set_cudnn_deterministic,
    _put_loop,
    _C._set_mkldnn_enabled,
    _C._set_float32_matmul_precision,
)
