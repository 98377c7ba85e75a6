"""Handles of messages and collectives under way, and what a node must still see done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import get_ident
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..errors import LabError
from .arguments import flattened, lies_flat, mark_changed
from .context import in_a_backward_pass, refuse_bad_modes
from .port import Collective, Ticket
from .snapshot import Snapshot, owns_storage, version

if TYPE_CHECKING:
    from .collectives import Collectives
    from .messages import Messages

_FEW = 32  # handles that may lie about although their messages are delivered


class InUse:
    """A tensor that a call reads until its ``wait``."""

    __slots__ = ("tensor", "version")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()  # shares its count of writes
        self.version = version(self.tensor)

    def written(self) -> bool:
        """Whether torch has counted a write, to it or to another view of its memory, or doesn't count."""
        return self.version == -1 or self.version != version(self.tensor)

    def torn(self, snapshot: Snapshot | None) -> bool:
        """Whether it holds something else than ``snapshot``: the counter is that of all views."""
        if snapshot is None:
            return False
        if self.written():
            return not snapshot.equals(flattened(self.tensor))
        return self.tensor.is_cpu and lies_flat(self.tensor) and not snapshot.resembles(self.tensor)


def torn_error(call: str, rank: int, risk: str) -> LabError:
    """Say that a tensor in use was written, and what that risks."""
    return LabError(
        f"{call} on rank {rank}: the tensor was written before the handle's wait(). On a real network "
        f"{risk}: wait first, or give the call a tensor of its own."
    )


class Handle:
    """A message under way, from ``isend`` or ``irecv``. Until ``wait`` its tensor is in use.

    ``wait``, and ``done`` where it is, raise ``LabError`` if the tensor was written meanwhile.
    """

    def __init__(self, node: Messages, ticket: Ticket, tensor: Tensor, kind: str) -> None:
        self._node, self._ticket, self._kind = node, ticket, kind
        self._given = InUse(tensor)
        self._written = self._seen = False

    def done(self) -> bool:
        """Whether the message has been delivered; never blocks."""
        self._check(f"{self._kind}.done")
        if not self._written and self._node._port.poll(self._ticket):
            self._finish()
        if self._written:
            self._judge()
        return self._written

    def wait(self) -> int:
        """Block until delivered; returns the peer's rank (for ``irecv`` the sender's)."""
        if not self._written:
            self._check(f"{self._kind}.wait")
            self._wait()
        self._judge()
        return self._node._group.rank_of(self._ticket.peer)

    def _check(self, call: str) -> None:
        self._node._family.check_thread(call, self._node._port.rank)
        refuse_bad_modes(call)

    def _wait(self) -> None:
        called = self._node.now()
        self._node._port.wait(self._ticket)
        self._node._wait_span(called, self._ticket.ended, self._ticket.peer, self._kind)
        self._finish()

    def _delivered(self) -> bool:
        """Whether nobody need see to this message any more; looks at no inbox."""
        if self._ticket.done and not self._written:
            self._finish()
        return self._written

    def _finish(self) -> None:
        self._written = True
        ticket = self._ticket
        if self._kind == "recv":
            tensor = self._given.tensor
            self._raced = self._given.version != version(tensor) and owns_storage(tensor)
            mark_changed(tensor)
        self._node._moved(self._kind, ticket.posted, ticket.ended, ticket.peer, self._given.tensor)

    def _judge(self) -> None:
        """Refuse a tensor that was written while it was in use; once, to who waits for it."""
        if self._seen:
            return
        self._seen, snapshot = True, self._ticket.snapshot
        self._ticket.snapshot = None
        if self._kind == "recv":
            raced, risk = self._raced, "what arrives and what was written would mix"
        else:
            raced, risk = self._given.torn(snapshot), "the receiver might get torn data, old and new"
        if raced:
            raise torn_error(self._ticket.call, self._node.rank, risk)


@dataclass(slots=True)
class Asked:
    """One call of a collective: what the engine is given, and what is left to do after it."""

    work: Collective
    called: float
    written: Callable[[], None]  # lets the worker's tensors know that they have changed
    beside: bool  # the node goes on meanwhile


class Pending:
    """A collective under way, from a call with ``async_op=True``."""

    def __init__(self, node: Collectives, asked: Asked, given: Sequence[Tensor]) -> None:
        self._node, self._asked = node, asked
        whole = asked.work.given
        pieces = (whole,) if len(given) == 1 else whole.split([t.numel() for t in given]) if given else ()
        self._given = [(InUse(t), Snapshot(piece)) for t, piece in zip(given, pieces, strict=True)]
        self._posted: Any = None  # the engine's own, once it has it

    def done(self) -> bool:
        """Whether it has been carried out here; never blocks, and makes what progress is possible."""
        if self in self._node._family.pending:
            self._node._enter("done")
            if self._node._port.look(self._posted):
                self.wait()
        return self not in self._node._family.pending

    def wait(self) -> None:
        """Block until it is carried out; only now do the tensors of the call hold its result.

        Raises ``LabError`` where what was given has been written to meanwhile: on a real network the others
        may have got the old numbers, or the new ones, or some of both.
        """
        if self in self._node._family.pending:
            self._node._enter("wait")
            if any(tensor.torn(snapshot) for tensor, snapshot in self._given):
                raise torn_error(self.told(), self._node.rank, "the others might get torn data, old and new")
            del self._node._family.pending[self]
            waits = self._node.now()
            self._node._finished(self._asked, waits, *self._node._port.finish(self._posted))
            del self._asked, self._given, self._posted  # the handle may lie about: not so the copies

    def start(self) -> None:
        """Hand it to the engine: at the call, or at the end of the compute span around it."""
        self._asked.called = self._node.now()
        self._posted = self._node._port.start(self._node._group, self._asked.work)

    def told(self) -> str:
        """The call as the worker wrote it."""
        return self._asked.work.call


class Family:
    """What a node and the nodes of its groups have in common."""

    def __init__(self, world_size: int) -> None:
        self.world_size = world_size  # of the run
        self.computing = False  # inside a compute span
        self.meeting = 0  # groups that have had a collective
        self.unfinished: list[Handle] = []  # isends that may not be delivered yet
        self.pending: dict[Pending, None] = {}  # collectives that are under way, in the order of their calls
        self.deferred: list[Pending] = []  # those of a compute span, dated at its end
        self.groups: dict[tuple[int, ...], Any] = {}
        self._room = _FEW
        self._thread = get_ident()

    def check_thread(self, call: str, rank: int, asynchronous: bool = False) -> None:
        """Refuse calls of another thread than the worker's: two at once would take each other's messages.

        torch lets a backward pass call its hooks in a thread of its own, while the worker's waits.
        """
        if get_ident() == self._thread or (asynchronous and in_a_backward_pass()):
            return
        raise RuntimeError(
            f"{call} on rank {rank} in a thread: only the thread that runs the worker calls its node. Let "
            "the other one compute, and hand its result over, by a queue.Queue."
        )

    def posted(self, handle: Handle) -> None:
        """Keep ``handle``; let the delivered ones go whenever there are twice as many as were left."""
        self.unfinished.append(handle)
        if len(self.unfinished) > self._room:
            self.unfinished = [other for other in self.unfinished if not other._delivered()]
            self._room = max(_FEW, 2 * len(self.unfinished))

    def start_deferred(self) -> None:
        """Hand the engine the collectives that were called inside the compute span that ends now."""
        for pending in self.deferred:
            pending.start()
        self.deferred.clear()
