"""What keeps a race fair among honest people: whose gradients they are, and what a worker's own code costs.

None of it stops somebody who means to cheat: a worker is Python and may reach all of this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import torch

_EXCHANGES = ("recv", "collective", "start")  # calls of a port that bring a node something
_CALLS = (*_EXCHANGES, "computes", "computed", "send", "wait", "poll", "copied", "finish", "look")


class Watch:
    """How much processor time a worker's own code takes: not that of the task, nor of the engine."""

    def __init__(self) -> None:
        self.used_s = 0.0
        self.steps = 0  # gradients, receives, collectives: after each a worker has something to do
        self._since_s: float | None = None  # None: somebody else's code runs

    @contextmanager
    def running(self) -> Iterator[None]:
        """While it lasts, time is the worker's own."""
        self._since_s = time.process_time()
        try:
            yield
        finally:
            self._stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While it lasts it is not; other nodes of a simulation may run meanwhile."""
        was_own = self._since_s is not None
        self._stop()
        try:
            yield
        finally:
            self._since_s = time.process_time() if was_own else None

    def _stop(self) -> None:
        if self._since_s is not None:
            self.used_s += time.process_time() - self._since_s
        self._since_s = None


class Aside:
    """An engine's ``Port`` whose calls are not on the worker's watch."""

    def __init__(self, port: Any, watch: Watch) -> None:
        self._port, self._watch = port, watch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in _CALLS:
            return found

        def called(*args: Any) -> Any:
            self._watch.steps += name in _EXCHANGES
            with self._watch.aside():
                return found(*args)

        self.__dict__[name] = called
        return called


class NoAutograd:
    """While any node's worker runs, autograd goes no way back: gradients come from the task."""

    _PLACES = (
        (torch.autograd, "_engine_run_backward"),  # what all others call, whoever holds them
        (torch.autograd, "grad"),
        (torch.autograd, "backward"),
        (torch.Tensor, "backward"),
    )

    def __init__(self) -> None:
        self._inside = 0
        self._kept: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> None:
        if not self._inside:
            there = [(owner, name) for owner, name in self._PLACES if hasattr(owner, name)]
            self._kept = [(owner, name, getattr(owner, name)) for owner, name in there]
            for owner, name, _ in self._kept:
                setattr(owner, name, _refusal())
        self._inside += 1

    def __exit__(self, kind: type[BaseException] | None, e: Any, tb: TracebackType | None) -> None:
        self._inside -= 1
        for owner, name, was in self._kept if not self._inside else ():
            setattr(owner, name, was)


def _refusal() -> Callable[..., None]:
    """A function that refuses, another each time: torch.func looks up what it knows of each by itself."""

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError(
            "autograd in a contest: no gradient but the task's own, so write task.gradient(node, model, "
            "batch), which charges for it. (lab.gradient, autograd.grad, backward: none works in an entry.)"
        )

    return refuse


NO_AUTOGRAD = NoAutograd()


@contextmanager
def one_thread() -> Iterator[None]:
    """While it lasts torch computes as nodes do, so that sums come out as theirs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def sample_s(gradient: Callable[[], Any], samples: int) -> float:
    """Processor seconds that this machine takes a sample: the least of several tries of ``gradient``."""
    tries = []
    with one_thread():
        for _ in range(5):
            began_s = time.process_time()
            gradient()
            tries.append(time.process_time() - began_s)
    return max(min(tries), 1e-6) / samples
