"""Each node's own global state: random generators, torch's modes, settings, what the user's modules hold.

A real node has a process to itself. The nodes of a simulation share one, so whoever switches between them
calls ``leave`` on the one and ``enter`` on the other, tens of thousands of times a second.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch

from ..travel import generators, settings
from ..travel.generators import seed_everything as seed_everything
from ..travel.modules import Spaces

_len_function_stack: Any = torch._C._len_torch_function_stack
_len_dispatch_stack: Any = torch._C._len_torch_dispatch_stack
_profiler_enabled: Any = torch._C._autograd._profiler_enabled
_NAMES = {"DeviceContext": "torch.device", "_FlopCounterMode": "FlopCounterMode"}


class NodeContext:
    """The global state of one node, or with ``current()`` of the caller.

    A node starts from ``seed_everything(rank)``, with gradients, float32 and one thread, and with
    the settings and ``spaces`` (of the user's modules) of ``caller``.
    """

    __slots__ = ("_dtype", "_grad", "_rank", "_settings", "_spaces", "_states", "_taken", "_threads")

    def __init__(self, rank: int, spaces: Spaces | None = None, caller: NodeContext | None = None) -> None:
        self._rank = rank
        self._states: Any = None  # None until it has run: 7.5 kB less to keep
        self._grad = True
        self._dtype = torch.float32
        self._threads = 1
        self._spaces = spaces
        self._taken: Any = caller._taken if caller else None
        self._settings: Any = settings.of_a_fresh_process(caller._settings) if caller else None

    @classmethod
    def current(cls, spaces: Spaces | None = None) -> NodeContext:
        """The state as it is now, for ``enter`` to bring back."""
        context = cls(0, spaces=spaces)
        context.leave()
        return context

    def enter(self, now: settings.Settings | None = None) -> None:
        """Make this node's state the global one; ``now``: the settings in force, if they are known."""
        if self._states is None:
            generators.seed_node(self._rank)
        else:
            generators.write(self._states)
        if torch.is_grad_enabled() is not self._grad:
            torch._C._set_grad_enabled(self._grad)
        if torch.get_default_dtype() is not self._dtype:
            torch.set_default_dtype(self._dtype)
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        if self._settings is not None and now != self._settings:
            settings.write(self._settings, now or settings.read())
        if self._spaces is not None:
            self._spaces.put(self._taken)

    def leave(self) -> settings.Settings:
        """Take the global state as this node's; returns the settings."""
        self._states = generators.read()
        self._grad = torch.is_grad_enabled()
        self._dtype = torch.get_default_dtype()
        self._threads = torch.get_num_threads()
        self._settings = settings.read()
        if self._spaces is not None:
            self._taken = self._spaces.take()
        return self._settings


def refuse_bad_modes(call: str, asynchronous: bool = False) -> None:
    """Raise where ``call`` (as "node.all_reduce") would carry torch's state to other nodes.

    An ``asynchronous`` one lets no other node act meanwhile, so it may stand in a backward pass.
    """
    if torch.is_inference_mode_enabled():
        raise RuntimeError(
            f"{call} inside torch.inference_mode(): the mode would reach the other nodes, "
            "leave it first; torch.no_grad() is fine"
        )
    if torch._C._is_any_autocast_enabled():
        raise RuntimeError(
            f"{call} inside torch.autocast(): the mode would reach the other nodes, leave it first"
        )
    if not asynchronous and in_a_backward_pass():
        raise RuntimeError(
            f"{call} inside a backward pass: nodes talk outside autograd, "
            "so call it after the backward pass, not in a hook or a Function's backward; "
            "a collective with async_op=True may be called there"
        )
    if _len_function_stack() or _len_dispatch_stack() or (_profiler_enabled() and not settings.profiled[0]):
        _refuse_open_blocks(call)


def in_a_backward_pass() -> bool:
    """Whether torch is going backward in this thread, so that a hook or a Function calls."""
    return torch._C._current_graph_task_id() != -1


def _refuse_open_blocks(call: str) -> None:
    lasting = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    stacks: Any = torch._C
    found = [stacks._get_function_stack_at(i) for i in range(_len_function_stack())]
    found += [stacks._get_dispatch_stack_at(i) for i in range(_len_dispatch_stack())]
    for mode in found:
        if mode is not lasting:
            _refuse_block(call, _NAMES.get(type(mode).__name__, type(mode).__name__))
    if _profiler_enabled() and not settings.profiled[0]:
        _refuse_block(call, "torch.profiler.profile")


def _refuse_block(call: str, name: str) -> NoReturn:
    raise RuntimeError(
        f"{call} inside a with-block of {name}: it would reach the other nodes; end the block before this "
        "call, and open it again after it"
    )
