"""``Node``: what a worker function is given. One interface, filled by both engines.

An engine supplies a ``Port`` for each node: a clock and a way to move flat tensors. Everything a worker
can get wrong is checked here, and every span, byte and message is counted here, so that both engines
agree. The names, the argument order and the in-place meaning are torch.distributed's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from ..cluster import collectives
from ..cluster.collectives import Work
from .arguments import (
    check_op,
    check_unit,
    chunked,
    members,
    rank_in_group,
    readable,
    writable,
    write_back,
)
from .messages import Messages
from .port import MOST_GROUPS, Collective


@lru_cache(maxsize=256)
def _call(name: str, op: str, src: int, dtype: torch.dtype, shape: tuple[int, ...] | None, group: str) -> str:
    """A collective as ranks compare it and reports show it: "all_reduce(op=sum) of float32 (3,)"."""
    argument = f"op={op}" if op else f"src={src}" if name == "broadcast" else ""
    tensors = "" if shape is None else f" of {str(dtype)[6:]} {tuple(shape)}"
    return f"{name}({argument}){tensors}{f' in the group of {group}' if group else ''}"


class _Compute:
    """The context manager of ``node.compute``."""

    __slots__ = ("amount", "node", "started", "unit")

    def __init__(self, node: Messages, unit: str, amount: float) -> None:
        self.node, self.unit, self.amount = node, unit, amount

    def __enter__(self) -> None:
        self.node._enter("compute")
        self.node._family.computing = True
        self.started = self.node._port.now()

    def __exit__(self, kind: type[BaseException] | None, e: Any, tb: TracebackType | None) -> None:
        self.node._family.computing = False
        if kind is None:
            end = self.node._port.computed(self.started, self.unit, self.amount)
            self.node._recorder.span("compute", self.started, end)
            if self.unit == "samples":
                self.node._recorder.samples += self.amount


class Node(Messages):
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

    def broadcast(self, tensor: Tensor, src: int) -> None:
        """Every rank's ``tensor`` becomes rank ``src``'s, in place."""
        self._enter("broadcast")
        rank_in_group(self, f"broadcast(src={src!r})", src)
        flat = writable(self, "broadcast", tensor)
        self._collective("broadcast", "", src, flat, flat, tensor)
        write_back(tensor, flat)

    def all_reduce(self, tensor: Tensor, op: str = "sum") -> None:
        """Every rank's ``tensor`` becomes the reduction over all ranks, in place, added in rank order."""
        self._enter("all_reduce")
        flat = writable(self, "all_reduce", tensor)
        check_op("all_reduce", op, flat)
        self._collective("all_reduce", op, 0, flat, flat, tensor)
        write_back(tensor, flat)

    def reduce_scatter(self, output: Tensor, input: Tensor | Sequence[Tensor], op: str = "sum") -> None:
        """``output`` becomes this rank's chunk of the reduction of all ranks' ``input``.

        ``input``: world_size times as many elements as ``output``, or a list of one tensor a rank.
        """
        self._enter("reduce_scatter")
        own = writable(self, "reduce_scatter", output)
        full, chunks = chunked(self, "reduce_scatter", input, own)
        check_op("reduce_scatter", op, own)
        self._collective("reduce_scatter", op, 0, own, full, input, chunks)
        write_back(output, own)

    def all_gather(self, output: Tensor | Sequence[Tensor], input: Tensor) -> None:
        """``output`` becomes the ``input`` of all ranks one after another.

        ``output``: world_size times as many elements as ``input``, or a list of one tensor a rank.
        """
        self._enter("all_gather")
        own = readable(self, "all_gather", input)
        if isinstance(output, Tensor):
            full = writable(self, "all_gather", output)
            chunked(self, "all_gather", output, own)
            self._collective("all_gather", "", 0, own, full, output)
            write_back(output, full)
        else:
            outputs = [writable(self, "all_gather", part) for part in output]
            full, chunks = chunked(self, "all_gather", output, own)
            self._collective("all_gather", "", 0, own, full, output, chunks)
            pieces = full.split([flat.numel() for flat in outputs])
            for part, flat, piece in zip(output, outputs, pieces, strict=True):
                flat.copy_(piece)
                write_back(part, flat)

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self._enter("barrier")
        nothing = torch.empty(0)
        self._collective("barrier", "", 0, nothing, nothing, None)

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

    def _collective(
        self,
        name: str,
        op: str,
        src: int,
        own: Tensor,
        full: Tensor,
        told: Any,
        sizes: tuple[int, ...] | None = None,
    ) -> None:
        n, size = len(self._group.ranks), own.element_size()
        if sizes is None:
            chunks = collectives.even_chunks(full.numel(), n)
            cost = collectives.even_work(name, full.numel(), n, size, src)
        else:
            chunks, cost = sizes, Work(name, tuple(c * size for c in sizes), src)
        shape = None if told is None else told.shape if isinstance(told, Tensor) else sizes
        group = self._group.words(self._family.world_size)
        if not self._group.calls:
            self._count_group()
        call = _call(name, op, src, own.dtype, shape, group)
        work = Collective(name, op, src, own, full, chunks, call)
        called = self.now()
        started, ended = self._port.collective(self._group, work)
        self._group.calls += 1
        self._wait_span(called, started, -1, name)
        algorithm = self._port.algorithm
        nbytes, messages = collectives.traffic(algorithm, cost, self.rank)
        self._recorder.sent(nbytes, messages)
        label = f"{op} by {algorithm}".lstrip() if self._port.chooses else op
        if group:
            label = f"{label}, {group}" if label else group
        self._recorder.span(name, max(called, started), ended, -1, nbytes, label)

    def _count_group(self) -> None:
        """Note a group's first collective: each has an area of its own in shared memory."""
        self._family.meeting += 1
        if self._family.meeting > MOST_GROUPS:
            raise ValueError(f"a rank can be in {MOST_GROUPS} groups with collectives; this is one more.")
