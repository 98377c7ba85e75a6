"""``Node``: what a worker function is given. One interface, filled by both engines.

An engine supplies a ``Port`` for each node: a clock and a way to move flat tensors. Everything a worker
can get wrong is checked here, and every span, byte and message is counted here, so that both engines
agree. The names, the argument order and the in-place meaning are torch.distributed's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from .arguments import check_unit, members
from .exchanges import Exchanges
from .messages import Messages


class _Compute:
    """The context manager of ``node.compute``."""

    __slots__ = ("amount", "node", "started", "unit")

    def __init__(self, node: Messages, unit: str, amount: float) -> None:
        self.node, self.unit, self.amount = node, unit, amount

    def __enter__(self) -> None:
        self.node._enter("compute")
        self.node._family.computing = True
        self.started = self.node._port.computes(self.unit, self.amount)

    def __exit__(self, kind: type[BaseException] | None, e: Any, tb: TracebackType | None) -> None:
        self.node._family.computing = False
        if kind is None:
            end = self.node._port.computed(self.started)
            self.node._recorder.span("compute", self.started, end)
            if self.unit == "samples":
                self.node._recorder.samples += self.amount
        self.node._family.start_deferred()


class Node(Exchanges):
    """One worker process, or one simulated one: rank ``rank`` of ``world_size``."""

    def compute(
        self,
        samples: float | None = None,
        flops: float | None = None,
        seconds: float | None = None,
    ) -> _Compute:
        """``with node.compute(samples=64): …``: the arithmetic inside is a compute span.

        Exactly one argument. ``simulate`` charges samples / speed, flops / flops_per_s or the seconds,
        times the node's slow factor; code outside a compute span is free there. Raises ``ValueError``.
        """
        unit, amount = check_unit({"samples": samples, "flops": flops, "seconds": seconds})
        return _Compute(self, unit, amount)

    def group(self, ranks: Sequence[int]) -> Node:
        """A node of the sub-group of these ranks (of this group), renumbered 0, 1, … in the order given.

        Needs no communication. Raises ``ValueError`` where this node is no member, or for a bad list.
        """
        listed = members(self, ranks)
        key = tuple(self._group.ranks[r] for r in listed)
        node: Node = self._family.groups.get(key) or Node(self._port, self._recorder, key, self._family)
        return node

    def record(self, **scalars: Any) -> None:
        """Add a row of metrics at ``now()``; numbers, or tensors of no dimension."""
        if not scalars:
            raise ValueError("node.record() got no metric: name one, as in node.record(loss=loss).")
        taken = {"rank", "time_s", "step"} & scalars.keys()
        if taken:
            raise ValueError(f"node.record({taken.pop()}=…): that column exists already, rename it.")
        self._recorder.row(self.now(), scalars)
