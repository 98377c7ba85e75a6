"""A node's identity and its messages: what every call shares, send and recv."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from ..history.recorder import Recorder
from .arguments import checked_tag, lies_flat, peer_in_group, readable, writable, write_back
from .context import refuse_bad_modes
from .handles import Family, Handle
from .port import Group, Port, Ticket


class Messages:
    """The part of a node that sends and receives."""

    def __init__(
        self, port: Port, recorder: Recorder, ranks: tuple[int, ...], family: Family | None = None
    ) -> None:
        self._port = port
        self._recorder = recorder
        self._group = Group(ranks, ranks.index(port.rank))
        self._family = family or Family(len(ranks))
        self._family.groups[ranks] = self

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

    def send(self, tensor: Tensor, dst: int, tag: int = 0) -> None:
        """Send ``tensor`` to rank ``dst``; returns once the receiver has taken it.

        Two nodes that both send first deadlock. Raises ``ValueError`` for a bad rank, tag or tensor.
        """
        called, ticket = self._post_send("send", tensor, dst, tag, snapshot=False)
        self._port.wait(ticket)
        self._blocked("send", called, ticket, tensor)

    def isend(self, tensor: Tensor, dst: int, tag: int = 0) -> Handle:
        """Post a send of a snapshot of ``tensor``; the handle's ``wait`` returns once it is received.

        Never blocks. Don't write to the tensor before ``wait``: a network reads it until the message is
        received, and its receiver may get torn data, old and new. Here the snapshot keeps numbers the same
        everywhere, and ``wait`` raises ``LabError``. What a full inbox has no room for moves on when this
        node calls again.
        """
        _, ticket = self._post_send("isend", tensor, dst, tag, snapshot=True)
        handle = Handle(self, ticket, tensor, "send")
        self._family.posted(handle)
        return handle

    def _finish(self) -> None:
        """At the worker's end: see all delivered that nobody waited for, and tell of collectives among it."""
        for handle in self._family.unfinished:
            if not handle._written:
                handle._wait()
        for pending in tuple(self._family.pending):
            warnings.warn(
                f"rank {self._port.rank} never waited for its {pending.told()}: wait() brings the result.",
                stacklevel=2,
            )
            pending.wait()

    def _post_send(
        self, name: str, tensor: Tensor, dst: int, tag: int, snapshot: bool
    ) -> tuple[float, Ticket]:
        self._enter(name)
        dst, peer = self._peer(name, "dst", dst)
        tag = checked_tag(name, tag)
        call = f"{name}(dst={dst}, tag={tag}){self._in_group('to', peer)}"
        flat = readable(self, name, tensor)
        ticket = Ticket(call, (peer,), self.now())
        self._port.send(self._group, flat, peer, tag, ticket, snapshot)
        return ticket.posted, ticket

    def recv(self, tensor: Tensor, src: int | None = None, tag: int = 0) -> int:
        """Receive into ``tensor``; returns the sender's rank.

        ``src=None`` takes the earliest arrival, ties to the lowest rank. Messages of one sender, tag
        and group arrive in the order they were sent. Raises ``ValueError`` where shape or dtype differ.
        """
        called, ticket, flat = self._post_recv("recv", tensor, src, tag)
        self._port.wait(ticket)
        write_back(tensor, flat)
        self._blocked("recv", called, ticket, tensor)
        return self._group.rank_of(ticket.peer)

    def irecv(self, tensor: Tensor, src: int | None = None, tag: int = 0) -> Handle:
        """Post a receive into ``tensor`` (contiguous); read and write it only after the handle's ``wait``.

        ``wait`` raises ``LabError`` where a tensor that owns its memory was written before.
        """
        if isinstance(tensor, Tensor) and tensor.layout == torch.strided and not lies_flat(tensor):
            raise ValueError(
                "irecv needs a contiguous tensor, no conjugated or negated view: receive into a new one, "
                "made by torch.empty_like(tensor, memory_format=torch.contiguous_format), and copy it."
            )
        _, ticket, _ = self._post_recv("irecv", tensor, src, tag)
        return Handle(self, ticket, tensor, "recv")

    def _post_recv(
        self, name: str, tensor: Tensor, src: int | None, tag: int
    ) -> tuple[float, Ticket, Tensor]:
        self._enter(name)
        if src is None:
            needs = self._group.others()
            if not needs:
                raise ValueError(f"{name}(src=None): this group has one node, nobody can send to it.")
        else:
            src, peer = self._peer(name, "src", src)
            needs = (peer,)
        tag = checked_tag(name, tag)
        call = f"{name}(src={'any' if src is None else src}, tag={tag})"
        call += self._in_group("from", None if src is None else needs[0])
        flat = writable(self, name, tensor)
        ticket = Ticket(call, needs, self.now())
        target = flat if name == "recv" else flat.data  # the engine's writes are not counted as the worker's
        self._port.recv(self._group, target, tag, ticket)
        return ticket.posted, ticket, flat

    # what every call shares

    def _enter(self, name: str, asynchronous: bool = False) -> None:
        self._family.check_thread(f"node.{name}", self._port.rank, asynchronous)
        refuse_bad_modes(f"node.{name}", asynchronous)
        if self._family.computing and not asynchronous:
            raise RuntimeError(
                f"node.{name} inside node.compute: a span is arithmetic only, end it before this call."
            )

    def _in_group(self, way: str, peer: int | None) -> str:
        """In a sub-group: which one, and the peer's rank in the run, which reports number by."""
        words = self._group.words(self._family.world_size)
        if not words:
            return ""
        return f" in the group of {words}" + (f": {way} rank {peer}" if peer is not None else "")

    def _peer(self, name: str, argument: str, rank: int) -> tuple[int, int]:
        """The group's ``rank``, which must be another node: as an int, and its rank in the run."""
        group = self._group
        if type(rank) is not int or not 0 <= rank < len(group.ranks) or rank == group.me:
            rank = peer_in_group(self, f"{name}({argument}={rank!r})", rank)  # says what is wrong
        return rank, group.ranks[rank]

    def _blocked(self, kind: str, called: float, ticket: Ticket, tensor: Tensor) -> None:
        """Record a blocking send or recv: waiting, moving, and waiting to be taken."""
        started, moved, peer = ticket.started, ticket.moved, ticket.peer
        if started > called:
            self._recorder.span("wait", called, started, peer, 0, kind)
        self._moved(kind, max(called, started), moved, peer, tensor)
        if ticket.ended > moved:
            self._recorder.span("wait", moved, ticket.ended, peer, 0, kind)

    def _moved(self, kind: str, start: float, end: float, peer: int, tensor: Tensor) -> None:
        nbytes = tensor.nbytes
        if kind == "send":
            self._recorder.sent(nbytes, 1)
        # a paced message may have been due a little before its rank was awake to post it
        self._recorder.span(kind, start, max(start, end), peer, nbytes)

    def _wait_span(self, start: float, end: float, peer: int, label: str) -> None:
        if end > start:
            self._recorder.span("wait", start, end, peer, 0, label)
