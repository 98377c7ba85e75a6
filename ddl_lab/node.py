"""``Node``: what a worker function is given. One interface, filled by both engines.

An engine supplies a ``Port`` for each node: a clock and a way to move flat tensors. Everything a worker can get
wrong is checked here, and every span, byte and message is counted here, so that both engines agree.
The names, the argument order and the in-place meaning are torch.distributed's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from . import collectives
from .collectives import Work
from .context import refuse_bad_modes
from .port import MAX_TAG, OPS, Collective, Group, Port, Ticket
from .recorder import Recorder
from .shared import SharedTensor


class Handle:
    """A message under way, from ``isend`` or ``irecv``."""

    def __init__(self, node: Node, ticket: Ticket, tensor: Tensor, kind: str) -> None:
        self._node, self._ticket, self._tensor, self._kind = node, ticket, tensor, kind
        self._written = False

    def done(self) -> bool:
        """Whether the message has been delivered; never blocks."""
        refuse_bad_modes(f"{self._kind}.done")
        if not self._written and self._node._port.poll(self._ticket):
            self._finish()
        return self._written

    def wait(self) -> int:
        """Block until delivered; returns the peer's rank (for ``irecv`` the sender's)."""
        if not self._written:
            refuse_bad_modes(f"{self._kind}.wait")
            called = self._node.now()
            self._node._port.wait(self._ticket)
            self._node._wait_span(called, self._ticket.ended, self._ticket.peer, self._kind)
            self._finish()
        return self._node._group.rank_of(self._ticket.peer)

    def _finish(self) -> None:
        self._written = True
        ticket = self._ticket
        self._node._moved(self._kind, ticket.posted, ticket.ended, ticket.peer, self._tensor)


class _Compute:
    """The context manager of ``node.compute``."""

    __slots__ = ("amount", "node", "started", "unit")

    def __init__(self, node: Node, unit: str, amount: float) -> None:
        self.node, self.unit, self.amount = node, unit, amount

    def __enter__(self) -> None:
        self.node._enter("compute")
        self.node._computing[0] = True
        self.started = self.node._port.now()

    def __exit__(self, kind: type[BaseException] | None, e: Any, tb: TracebackType | None) -> None:
        self.node._computing[0] = False
        if kind is None:
            end = self.node._port.computed(self.started, self.unit, self.amount)
            self.node._recorder.span("compute", self.started, end)


class Node:
    """One worker process, or one simulated one: rank ``rank`` of ``world_size``."""

    def __init__(self, port: Port, recorder: Recorder, ranks: tuple[int, ...]) -> None:
        self._port = port
        self._recorder = recorder
        self._device_type = port.device.type
        self._group = Group(ranks, ranks.index(port.rank))
        self._groups: dict[tuple[int, ...], Node] = {ranks: self}
        self._computing = [False]  # one flag, and one list of isends, for all groups of this node
        self._open: list[Handle] = []

    def __repr__(self) -> str:
        return f"<node: rank {self.rank} of {self.world_size} on {self.device}>"

    @property
    def rank(self) -> int:
        """This node's number, 0 to world_size - 1, in its group."""
        return self._group.me

    @property
    def world_size(self) -> int:
        """How many nodes there are in this group."""
        return len(self._group.ranks)

    @property
    def device(self) -> torch.device:
        """Where this node's tensors belong."""
        return self._port.device

    def now(self) -> float:
        """Seconds on this node's clock since the workers started together."""
        return self._port.now()

    def compute(
        self,
        samples: float | None = None,
        flops: float | None = None,
        seconds: float | None = None,
    ) -> _Compute:
        """``with node.compute(samples=64): …``: the arithmetic inside is a compute span.

        Exactly one argument. ``simulate`` charges samples / speed, flops / flops_per_s or the seconds, times
        the node's slow factor; code outside a compute span is free there. Raises ``ValueError``.
        """
        given = {"samples": samples, "flops": flops, "seconds": seconds}
        told = {unit: amount for unit, amount in given.items() if amount is not None}
        if len(told) != 1:
            names = ", ".join(told) or "none"
            raise ValueError(f"node.compute takes one of samples, flops, seconds; it got {names}.")
        ((unit, amount),) = told.items()
        if not 0 <= amount < float("inf"):
            raise ValueError(f"node.compute({unit}={amount!r}): it takes a number from 0 up.")
        return _Compute(self, unit, float(amount))

    def send(self, tensor: Tensor, dst: int, tag: int = 0) -> None:
        """Send ``tensor`` to rank ``dst``; returns once the receiver has taken it.

        Two nodes that both send first deadlock. Raises ``ValueError`` for a bad rank, tag or tensor.
        """
        called, ticket = self._post_send("send", tensor, dst, tag, snapshot=False)
        self._port.wait(ticket)
        self._blocked("send", called, ticket, tensor)

    def isend(self, tensor: Tensor, dst: int, tag: int = 0) -> Handle:
        """Post a send of a snapshot of ``tensor``; the handle's ``wait`` returns once it is received."""
        _, ticket = self._post_send("isend", tensor, dst, tag, snapshot=True)
        handle = Handle(self, ticket, tensor.detach(), "send")
        self._open[:] = [*(h for h in self._open if not h._written), handle]
        return handle

    def _finish(self) -> None:
        """At the worker's end: see every message delivered that was posted and not waited for."""
        for handle in self._open:
            handle.wait()

    def _post_send(
        self, name: str, tensor: Tensor, dst: int, tag: int, snapshot: bool
    ) -> tuple[float, Ticket]:
        self._enter(name)
        peer = self._peer(name + "(dst={})", dst)
        call = f"{name}(dst={dst}, tag={_checked_tag(name, tag)})"
        flat = self._readable(name, tensor)
        ticket = Ticket(call, (peer,), self.now())
        self._port.send(self._group, flat, peer, tag, ticket, snapshot)
        return ticket.posted, ticket

    def recv(self, tensor: Tensor, src: int | None = None, tag: int = 0) -> int:
        """Receive into ``tensor``; returns the sender's rank.

        ``src=None`` takes the earliest arrival, ties to the lowest rank. Messages of one sender, tag and group
        arrive in the order they were sent. Raises ``ValueError`` where shape or dtype differ.
        """
        called, ticket, flat = self._post_recv("recv", tensor, src, tag)
        self._port.wait(ticket)
        self._write_back(tensor, flat)
        self._blocked("recv", called, ticket, tensor)
        return self._group.rank_of(ticket.peer)

    def irecv(self, tensor: Tensor, src: int | None = None, tag: int = 0) -> Handle:
        """Post a receive into ``tensor`` (contiguous); read it only after the handle's ``wait``."""
        if isinstance(tensor, Tensor) and not tensor.is_contiguous():
            raise ValueError(
                "irecv needs a contiguous tensor: receive into a copy made by .contiguous()."
            )
        _, ticket, _ = self._post_recv("irecv", tensor, src, tag)
        return Handle(self, ticket, tensor.detach(), "recv")

    def _post_recv(
        self, name: str, tensor: Tensor, src: int | None, tag: int
    ) -> tuple[float, Ticket, Tensor]:
        self._enter(name)
        if src is None:
            needs = self._group.others()
            if not needs:
                raise ValueError(
                    f"{name}(src=None): this group has one node, nobody can send to it."
                )
        else:
            needs = (self._peer(name + "(src={})", src),)
        call = f"{name}(src={'any' if src is None else src}, tag={_checked_tag(name, tag)})"
        flat = self._writable(name, tensor)
        ticket = Ticket(call, needs, self.now())
        self._port.recv(self._group, flat, tag, ticket)
        return ticket.posted, ticket, flat

    def broadcast(self, tensor: Tensor, src: int) -> None:
        """Every rank's ``tensor`` becomes rank ``src``'s, in place."""
        self._enter("broadcast")
        self._rank("broadcast(src={})", src)
        flat = self._writable("broadcast", tensor)
        self._collective("broadcast", "", src, flat, flat, tensor)
        self._write_back(tensor, flat)

    def all_reduce(self, tensor: Tensor, op: str = "sum") -> None:
        """Every rank's ``tensor`` becomes the reduction over all ranks, in place, added in rank order."""
        self._enter("all_reduce")
        flat = self._writable("all_reduce", tensor)
        _check_op("all_reduce", op, flat)
        self._collective("all_reduce", op, 0, flat, flat, tensor)
        self._write_back(tensor, flat)

    def reduce_scatter(
        self, output: Tensor, input: Tensor | Sequence[Tensor], op: str = "sum"
    ) -> None:
        """``output`` becomes this rank's chunk of the reduction of all ranks' ``input``.

        ``input``: world_size times as many elements as ``output``, or a list of one tensor a rank.
        """
        self._enter("reduce_scatter")
        own = self._writable("reduce_scatter", output)
        full, chunks = self._chunked("reduce_scatter", input, own)
        full = self._readable("reduce_scatter", full)
        _check_op("reduce_scatter", op, own)
        self._collective("reduce_scatter", op, 0, own, full, input, chunks)
        self._write_back(output, own)

    def all_gather(self, output: Tensor | Sequence[Tensor], input: Tensor) -> None:
        """``output`` becomes the ``input`` of all ranks one after another.

        ``output``: world_size times as many elements as ``input``, or a list of one tensor a rank.
        """
        self._enter("all_gather")
        own = self._readable("all_gather", input)
        if isinstance(output, Tensor):
            full = self._writable("all_gather", output)
            self._chunked("all_gather", output, own)
            self._collective("all_gather", "", 0, own, full, output)
            self._write_back(output, full)
        else:
            outputs = [self._writable("all_gather", part) for part in output]
            full, chunks = self._chunked("all_gather", output, own)
            self._collective("all_gather", "", 0, own, full, output, chunks)
            pieces = full.split([flat.numel() for flat in outputs])
            for part, flat, piece in zip(output, outputs, pieces, strict=True):
                flat.copy_(piece)
                self._write_back(part, flat)

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self._enter("barrier")
        nothing = torch.empty(0)
        self._collective("barrier", "", 0, nothing, nothing, None)

    def group(self, ranks: Sequence[int]) -> Node:
        """A node of the sub-group of these ranks (of this group), renumbered 0, 1, … in the order given.

        Needs no communication. Raises ``ValueError`` where this node is no member, or for a bad list.
        """
        listed = list(ranks)
        for rank in listed:
            self._rank("group([…, {}, …])", rank)
        if not listed or len(set(listed)) != len(listed):
            raise ValueError(f"group({listed}): name each of its ranks once, and at least one.")
        if self.rank not in listed:
            raise ValueError(f"group({listed}): rank {self.rank} calls it but is no member of it.")
        key = tuple(self._group.ranks[r] for r in listed)
        if key not in self._groups:
            node = Node.__new__(Node)
            node._port, node._recorder = self._port, self._recorder
            node._device_type = self._device_type
            node._group = Group(key, key.index(self._port.rank))
            node._groups, node._computing, node._open = self._groups, self._computing, self._open
            self._groups[key] = node
        return self._groups[key]

    def record(self, **scalars: Any) -> None:
        """Add a row of metrics at ``now()``; numbers, or tensors of no dimension."""
        if not scalars:
            raise ValueError("node.record() got no metric: name one, as in node.record(loss=loss).")
        taken = {"rank", "time_s", "step"} & scalars.keys()
        if taken:
            raise ValueError(
                f"node.record({taken.pop()}=…): that column exists already, rename it."
            )
        self._recorder.row(self.now(), scalars)

    # What every call shares.

    def _enter(self, name: str) -> None:
        refuse_bad_modes(f"node.{name}")
        if self._computing[0]:
            raise RuntimeError(
                f"node.{name} inside node.compute: a span is arithmetic only, end it before this call."
            )

    def _rank(self, call: str, rank: Any) -> None:
        last = len(self._group.ranks) - 1
        if not isinstance(rank, int) or isinstance(rank, bool) or not 0 <= rank <= last:
            raise ValueError(
                f"{call.format(repr(rank))} on rank {self.rank}: ranks here are whole numbers 0 to {last}."
            )

    def _peer(self, call: str, rank: int) -> int:
        """The rank in the run of the group's ``rank``, which must be another node."""
        self._rank(call, rank)
        if rank == self._group.me:
            raise ValueError(
                f"{call.format(rank)} on rank {rank} names the node itself: name another rank."
            )
        return self._group.ranks[rank]

    def _readable(self, name: str, tensor: Any) -> Tensor:
        """``tensor`` as a flat contiguous one (a view where it can be), outside autograd."""
        if not isinstance(tensor, Tensor):
            raise TypeError(f"node.{name} takes a torch.Tensor; it got a {type(tensor).__name__}.")
        if tensor.layout != torch.strided:
            raise ValueError(
                f"node.{name} takes dense tensors; it got {tensor.layout}: use to_dense()."
            )
        if tensor.device.type != self._device_type:
            raise ValueError(
                f"node.{name} on rank {self.rank} got a tensor on {tensor.device}, and the node is on "
                f"{self.device}: move it with .to(node.device)."
            )
        if tensor.dim() == 1 and tensor.is_contiguous() and not tensor.requires_grad:
            return tensor  # flat already, and quick: this is most messages
        return tensor.detach().contiguous().view(-1)

    def _writable(self, name: str, tensor: Any) -> Tensor:
        if isinstance(tensor, SharedTensor):
            raise ValueError(
                f"node.{name} writes into its tensor, and a data set is read-only: clone it."
            )
        if isinstance(tensor, Tensor) and tensor.grad_fn is not None:
            raise ValueError(
                f"node.{name} writes into its tensor, and this one is part of an autograd graph that would "
                "not know: pass tensor.detach()."
            )
        return self._readable(name, tensor)

    def _write_back(self, tensor: Tensor, flat: Tensor) -> None:
        """Copy ``flat`` into a tensor that it could not be a view of."""
        if not tensor.is_contiguous():
            tensor.detach().copy_(flat.view(tensor.shape))

    def _chunked(
        self, name: str, whole: Any, own: Tensor
    ) -> tuple[Tensor, tuple[int, ...] | None]:
        """The flat concatenation of all chunks and, of a list, their sizes in elements; ``own`` must fit."""
        n = self.world_size
        if isinstance(whole, Tensor):
            full, sizes = whole, None
            fits = whole.numel() == n * own.numel()
            found = f"{whole.numel()} elements, and {n} ranks with {own.numel()} each"
        else:
            parts = [self._readable(name, part) for part in whole]
            full, sizes = torch.cat(parts) if parts else own, tuple(p.numel() for p in parts)
            fits = len(parts) == n and sizes[self.rank] == own.numel()
            found = f"a list of sizes {sizes} for {n} ranks, and {own.numel()} of rank {self.rank}'s own"
        if not fits or full.dtype != own.dtype:
            types = "" if full.dtype == own.dtype else f" ({full.dtype} and {own.dtype})"
            raise ValueError(f"node.{name} on rank {self.rank} got {found}{types}: make them fit.")
        return full, sizes

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
        argument = f"op={op}" if op else f"src={src}" if name == "broadcast" else ""
        shape = tuple(told.shape) if isinstance(told, Tensor) else sizes
        tensors = f" of {str(own.dtype)[6:]} {shape}" if told is not None else ""
        work = Collective(name, op, src, own, full, chunks, f"{name}({argument}){tensors}")
        called = self.now()
        started, ended = self._port.collective(self._group, work)
        self._group.calls += 1
        self._wait_span(called, started, -1, name)
        nbytes, messages = collectives.traffic(self._port.algorithm, cost, self.rank)
        self._recorder.sent(nbytes, messages)
        self._recorder.span(name, max(called, started), ended, -1, nbytes, op)

    def _blocked(self, kind: str, called: float, ticket: Ticket, tensor: Tensor) -> None:
        """Record a blocking send or recv: waiting, moving, and waiting to be taken."""
        self._wait_span(called, ticket.started, ticket.peer, kind)
        self._moved(kind, max(called, ticket.started), ticket.moved, ticket.peer, tensor)
        self._wait_span(ticket.moved, ticket.ended, ticket.peer, kind)

    def _moved(self, kind: str, start: float, end: float, peer: int, tensor: Tensor) -> None:
        nbytes = tensor.numel() * tensor.element_size()
        if kind == "send":
            self._recorder.sent(nbytes, 1)
        self._recorder.span(kind, start, end, peer, nbytes)

    def _wait_span(self, start: float, end: float, peer: int, label: str) -> None:
        if end > start:
            self._recorder.span("wait", start, end, peer, 0, label)


def _checked_tag(name: str, tag: Any) -> int:
    if not isinstance(tag, int) or isinstance(tag, bool) or not 0 <= tag <= MAX_TAG:
        raise ValueError(f"node.{name}(tag={tag!r}): a tag is a whole number from 0 to {MAX_TAG}.")
    return tag


def _check_op(name: str, op: Any, tensor: Tensor) -> None:
    if op not in OPS:
        raise ValueError(f"node.{name}(op={op!r}): op is one of {', '.join(OPS)}.")
    if op == "mean" and not tensor.is_floating_point():
        raise ValueError(
            f"node.{name}(op='mean') takes floating-point tensors; it got {tensor.dtype}."
        )
