"""An entry: a worker on the watch, as both engines run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ...node.node import Node
from .digits import flat_of
from .fair import NO_AUTOGRAD, Aside, Watch
from .task import Task


class Returned(NamedTuple):
    """What a node has to say in the end: its model (P,) or None, and what its own code took."""

    model: torch.Tensor | None
    own_s: float
    steps: int


class Entry:
    """A worker and its task: called with a node it runs the worker; it returns ``Returned``."""

    def __init__(self, worker: Callable[[Node], Any], task: Task) -> None:
        self._worker, self._task = worker, task  # a node's copy of both: the worker's task is this one

    def __call__(self, node: Node) -> Returned:
        watch = self._task._watch = Watch()
        node._port = Aside(node._port, watch)
        with NO_AUTOGRAD, watch.running():
            found = self._worker(node)
        model = None if found is None else flat_of(found, "what a worker returns").clone()
        if self._task.failures:
            node.record(out=1.0)  # paid for until here, should another node die later
        return Returned(model, watch.used_s, watch.steps)
