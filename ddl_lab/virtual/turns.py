"""Whose turn it is in a simulation: the greenlets of the nodes, and the global states that go with them."""

from __future__ import annotations

import contextvars
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from ..node.context import NodeContext
from ..node.port import Ticket
from ..travel.modules import Spaces
from ..travel.settings import watched
from ..travel.streams import with_buffers
from .meetings import Meeting
from .waits import Waits

_unwilling: list[Any] = []  # greenlets that nothing ends: freeing them would try it again


class Turns:
    """One greenlet a node, resumed one at a time; whoever is inside ``at_home`` is where all come back to.

    ``block`` and ``give_way`` are called in a node's greenlet, everything else at home.
    """

    def __init__(self, nodes: int, waits: Waits, spaces: Spaces | None) -> None:
        self._waits, self._spaces = waits, spaces
        self._greenlets: list[Any] = [None] * nodes
        self._contexts: list[NodeContext | None] = [None] * nodes  # from their start to their return
        self._outer: NodeContext | None = None
        self._inside: int | None = None  # the rank whose global states are in force
        self._home = getcurrent()

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """Nodes come back to here, and the caller finds the global states as they were."""
        self._home = getcurrent()
        for node in self._greenlets:
            if node is not None:
                node.parent = self._home
        with with_buffers(), watched():
            self._outer = NodeContext.current(self._spaces)
            try:
                yield
            finally:
                self._leave()
                self._outer.enter(None)

    def start(self, rank: int, life: Callable[[int], None]) -> None:
        """Begin ``life(rank)``, and go on with it until it waits or ends."""
        self._greenlets[rank] = node = greenlet(life, self._home)
        node.gr_context = contextvars.copy_context()  # tells a notebook which cell prints
        self._enter(rank)
        node.switch(rank)

    def resume(self, rank: int) -> None:
        """Run a node until it waits or ends."""
        if rank != self._inside:
            self._enter(rank)
        self._greenlets[rank].switch()

    def _enter(self, rank: int) -> None:
        """Put a node's global states in force."""
        inside, contexts = self._inside, self._contexts
        left = None if inside is None else contexts[inside]
        now = None if left is None else left.leave()
        self._inside = rank
        context = contexts[rank]
        if context is None:
            context = contexts[rank] = NodeContext(rank, spaces=self._spaces, caller=self._outer)
        context.enter(now)

    def _leave(self) -> None:
        """Take them as those of the node that is inside."""
        context = None if self._inside is None else self._contexts[self._inside]
        self._inside = None
        if context is not None:
            context.leave()

    def block(self, rank: int, since: float, on: Ticket | Meeting) -> None:
        """Let others run until ``on``, waited for since that virtual time, is done."""
        self._waits.begin(rank, since, on)
        self._home.switch()
        self._waits.end(rank)

    def give_way(self) -> None:
        """Let home go on; a ``resume`` returns."""
        self._home.switch()

    def returned(self, rank: int) -> None:
        """Let go of a node that has come to its end, and of its states."""
        self._greenlets[rank] = self._contexts[rank] = None

    def end(self, rank: int) -> None:
        """End a node where it stands; its ``finally`` blocks run, and what they raise is lost."""
        node, self._greenlets[rank] = self._greenlets[rank], None
        for _ in range(3 if node is not None else 0):  # it may catch its end, and call the node again
            self._enter(rank)
            try:
                node.throw(GreenletExit)
            except KeyboardInterrupt:
                raise
            except BaseException:  # by a ``finally`` of the worker: a real node dies without a word
                pass
            if node.dead:
                return
        if node is not None:
            _unwilling.append(node)
            warnings.warn(f"rank {rank} could not be ended: its except catches all.", stacklevel=2)
