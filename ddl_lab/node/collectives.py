"""A node's collectives in which all ranks give or get the same: what each call takes, and what is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from ..cluster import collectives
from ..cluster.collectives import Work
from .arguments import check_op, chunked, rank_in_group, readable, writable, write_back
from .handles import Asked, Pending
from .messages import Messages
from .parts import spread
from .port import MOST_GROUPS, Collective
from .sizes import Sizes


class Call(NamedTuple):
    """A call as ranks compare it: its name and arguments, and the shape or the sizes that all must share."""

    name: str
    op: str = ""
    src: int = 0  # rank in the group: where it comes from, or where it goes
    root: str = ""  # that rank as the worker wrote it, "src=1"
    told: tuple[int, ...] | None = None
    chunks: tuple[int, ...] | None = None  # elements of each rank's chunk, where they are listed
    shown: str = ""  # its name as the worker wrote it, if it is another

    def words(self, dtype: torch.dtype, group: str, asynchronous: bool) -> str:
        """As reports show it: "all_reduce(op=sum) of float32 (3,)"."""
        return _words(self.shown or self.name, self.op, self.root, self.told, dtype, group, asynchronous)


@lru_cache(maxsize=256)
def _words(
    name: str, op: str, root: str, told: Any, dtype: torch.dtype, group: str, asynchronous: bool
) -> str:
    arguments = [root, f"op={op}" if op else "", "async_op=True" if asynchronous else ""]
    tensors = "" if name == "barrier" else f" of {str(dtype)[6:]}"
    tensors += "" if told is None else f" {tuple(told)}"
    where = f" in the group of {group}" if group else ""
    return f"{name}({', '.join(filter(None, arguments))}){tensors}{where}"


def _told(whole: Tensor | Sequence[Tensor], sizes: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return whole.shape if isinstance(whole, Tensor) else sizes


Later: TypeAlias = Pending | Any  # the handle; where the call blocks None, which nobody need check for


class Collectives(Messages):
    """The part of a node that meets others. With ``async_op=True`` a call returns a handle at once.

    The node goes on computing meanwhile; the handle's ``wait`` brings the result, and until then the call's
    tensors stay as they are. All ranks must say the same ``async_op``. Such a call may stand inside a compute
    span and in a backward hook; on the virtual and the paced clock it is dated at the end of that span, so
    buckets that shall overlap take a span each.
    """

    def broadcast(self, tensor: Tensor, src: int, async_op: bool = False) -> Later:
        """Every rank's ``tensor`` becomes rank ``src``'s, in place."""
        self._enter("broadcast", async_op)
        src = rank_in_group(self, f"broadcast(src={src!r})", src)
        flat = writable(self, "broadcast", tensor)
        call = Call("broadcast", src=src, root=f"src={src}", told=tensor.shape)
        return self._collective(call, flat, flat, [tensor], lambda: write_back(tensor, flat), async_op)

    def all_reduce(self, tensor: Tensor, op: str = "sum", async_op: bool = False) -> Later:
        """Every rank's ``tensor`` becomes the reduction over all ranks, in place, added in rank order."""
        self._enter("all_reduce", async_op)
        flat = writable(self, "all_reduce", tensor)
        check_op("all_reduce", op, flat)
        call = Call("all_reduce", op, told=tensor.shape)
        return self._collective(call, flat, flat, [tensor], lambda: write_back(tensor, flat), async_op)

    def reduce_scatter(
        self, output: Tensor, input: Tensor | Sequence[Tensor], op: str = "sum", async_op: bool = False
    ) -> Later:
        """``output`` becomes this rank's chunk of the reduction of all ranks' ``input``.

        ``input``: world_size times as many elements as ``output``, or a list of one tensor a rank.
        """
        self._enter("reduce_scatter", async_op)
        own = writable(self, "reduce_scatter", output)
        full, chunks = chunked(self, "reduce_scatter", input, own)
        check_op("reduce_scatter", op, own)
        parts = [input] if isinstance(input, Tensor) else list(input)
        call = Call("reduce_scatter", op, told=_told(input, chunks), chunks=chunks)
        return self._collective(call, own, full, parts, lambda: write_back(output, own), async_op)

    def all_gather(self, output: Tensor | Sequence[Tensor], input: Tensor, async_op: bool = False) -> Later:
        """``output`` becomes the ``input`` of all ranks one after another.

        ``output``: world_size times as many elements as ``input``, or a list of one tensor a rank.
        """
        self._enter("all_gather", async_op)
        own = readable(self, "all_gather", input)
        outputs = [output] if isinstance(output, Tensor) else list(output)
        flats = [writable(self, "all_gather", part) for part in outputs]
        full, chunks = chunked(self, "all_gather", output, own)
        full = flats[0] if isinstance(output, Tensor) else full

        call = Call("all_gather", told=_told(output, chunks), chunks=chunks)
        return self._collective(call, own, full, [input], lambda: spread(full, outputs, flats), async_op)

    def barrier(self, async_op: bool = False) -> Later:
        """Wait until every rank is here."""
        self._enter("barrier", async_op)
        nothing = torch.empty(0)
        return self._collective(Call("barrier"), nothing, nothing, [], lambda: None, async_op)

    def _collective(
        self,
        call: Call,
        own: Tensor,
        full: Tensor,
        given: Sequence[Tensor],
        written: Callable[[], None],
        asynchronous: bool,
        sizes: Sizes | None = None,
    ) -> Later:
        work = self._work(call, own, full, asynchronous, sizes)
        asked = Asked(work, self.now(), written, asynchronous)
        self._group.calls += 1
        if not asynchronous:
            self._finished(asked, asked.called, *self._port.collective(self._group, work))
            return None
        pending = Pending(self, asked, given)
        self._family.pending[pending] = None
        if self._family.computing and self._port.modelled:
            self._family.deferred.append(pending)
        else:
            pending.start()
        return pending

    def _work(
        self, call: Call, own: Tensor, full: Tensor, asynchronous: bool, sizes: Sizes | None
    ) -> Collective:
        n, size = len(self._group.ranks), own.element_size()
        if call.chunks is None:
            chunks = collectives.even_chunks(full.numel(), n)
            cost = collectives.even_work(call.name, full.numel(), n, size, call.src)
        else:
            chunks, cost = call.chunks, Work(call.name, tuple(c * size for c in call.chunks), call.src)
        if not self._group.calls:
            self._count_group()
        words = call.words(own.dtype, self._group.words(self._family.world_size), asynchronous)
        given = full if call.name == "reduce_scatter" else own
        given = self._port.copied(given) if asynchronous else given
        nth = self._group.calls + 1
        return Collective(call.name, call.op, call.src, own, full, chunks, words, given, nth, cost, sizes)

    def _finished(self, asked: Asked, waits: float, started: float, ended: float) -> None:
        """Record a collective from ``started`` to ``ended``, for which this rank ``waits`` since then."""
        work, algorithm = asked.work, self._port.algorithm
        asked.written()
        self._wait_span(waits, ended if asked.beside else started, -1, work.name)
        nbytes, messages = collectives.traffic(algorithm, work.cost, self.rank)
        self._recorder.sent(nbytes, messages)
        label = f"{work.op} by {algorithm}".lstrip() if self._port.chooses else work.op
        if group := self._group.words(self._family.world_size):
            label = f"{label}, {group}" if label else group
        self._recorder.span(work.name, max(asked.called, started), ended, -1, nbytes, label)

    def _count_group(self) -> None:
        """Note a group's first collective: each has an area of its own in shared memory."""
        self._family.meeting += 1
        if self._family.meeting > MOST_GROUPS:
            raise ValueError(f"a rank can be in {MOST_GROUPS} groups with collectives; this is one more.")
