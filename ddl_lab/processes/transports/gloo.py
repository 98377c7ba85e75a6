"""Transport ``gloo``: tensors move through torch.distributed's network library, over the loopback
device.

Control messages stay the run's own, so matching, order and error reports equal those of ``shm``. The
ranks find each other through a FileStore on a file that has no name (where the system has no such files, in
the run's private folder): a TCPStore could be joined by any user of the host.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from ...errors import LabError, LostPeer, wants_threads
from ...node.port import Collective, Group
from .beside import Mover
from .board import Board, Slot
from .endpoint import Endpoint
from .groups import move
from .parcels import Incoming, Outgoing
from .posted import Posted
from .strangers import no_strangers
from .wire import PIECE, Inbox, Record

_TAGS = 2**24  # gloo's tags are small integers; messages under way at once are far fewer
_NO_DEVICE = (
    "gloo finds no network device: on one host it takes the loopback (ip link set lo up), and shm takes none."
)
_MOST_EARLY = 64  # messages handed to gloo before they are asked for: it slows down with thousands


class GlooEndpoint(Endpoint):
    """A rank whose tensors move through gloo."""

    def __init__(
        self,
        rank: int,
        nodes: int,
        inbox: Inbox,
        slot: Slot,
        board: Board,
        store: dist.Store,
        local: bool = True,
    ) -> None:
        super().__init__(rank, nodes, inbox, slot, board)
        self.store, self._local = store, local
        self._networks: dict[tuple[int, ...], Any] = {}
        self._world = self._network(tuple(range(nodes)))
        self._works: dict[int, Any] = {}

    @staticmethod
    def connect(store: dist.Store, me: int, size: int, local: bool) -> Any:
        """A gloo process group that meets in ``store``; ``local``: all ranks are on this host."""
        options = dist.ProcessGroupGloo._Options()  # type: ignore[attr-defined]
        options._devices = _devices(local)
        options._timeout = timedelta(days=1)  # a rank that hangs is the supervisor's to find
        # We wait for each work at once. Where the system gives no second thread, torch 2.13 waits for ever
        # for the first to leave.
        options._threads = 1
        with no_strangers() if local else nullcontext():
            return dist.ProcessGroupGloo(store, me, size, options)

    def _network(self, ranks: tuple[int, ...]) -> Any:
        """The process group of these ranks; made when they first use it together."""
        if ranks not in self._networks:
            store = dist.PrefixStore("-".join(map(str, ranks)), self.store)
            me, size = ranks.index(self.rank), len(ranks)
            with _peers_alive():
                self._networks[ranks] = self.connect(store, me, size, self._local)
        return self._networks[ranks]

    # messages: the offer tells the tag under which gloo carries the tensor

    def _lay_ready(self, message: Outgoing) -> tuple[int, int, bytes]:
        if not message.data.numel():  # gloo would wait for its bytes forever
            return 0, 0, b""
        if len(self._works) >= _MOST_EARLY:
            return 0, 0, b""
        if message.snapshot:  # gloo reads it later
            message.keep(message.data.clone())
        self._begin(message)
        return 0, message.size, b""

    def _begin(self, message: Outgoing) -> None:
        with _peers_alive():
            data = message.data.view(torch.uint8)
            self._works[message.number] = self._world.send([data], message.dst, message.number % _TAGS)
        message.loaded = message.size

    def _on_room(self, record: Record) -> None:
        message = self._outgoing[record.number]
        self._begin(message)
        self._post(message.dst, Record(PIECE, 0, self.rank, number=message.number, size=message.size))

    def _fetch(self, message: Incoming, piece: Record) -> int:
        assert message.target is not None
        with _peers_alive():
            self._world.recv([message.target.view(torch.uint8)], piece.sender, piece.number % _TAGS).wait()
        return message.target.nbytes

    def _settled(self, message: Outgoing) -> None:
        if message.number in self._works:
            work = self._works.pop(message.number)
            with _peers_alive():
                work.wait()

    # collectives that go on meanwhile

    def _set_out(self, posted: Posted) -> None:
        posted.mover = Mover(posted, self._world, range(_TAGS, 2**31 - 1), _peers_alive)
        posted.mover.start()

    def _collect(self, posted: Posted) -> None:
        posted.mover.join()
        if posted.mover.error is not None:
            raise posted.mover.error

    def _is_here(self, posted: Posted) -> bool:
        return not posted.mover.is_alive()

    # collectives

    def _move(self, group: Group, work: Collective) -> float:
        last = self.meet(group, work.call)
        network = self._network(group.ranks)
        with _peers_alive():
            move(network, group.me, work)
        return last


def _devices(local: bool) -> list[Any]:
    """What gloo listens on: the loopback, or between hosts the interfaces that GLOO_SOCKET_IFNAME names.

    Where that is not set: whatever this host's own name leads to.
    """
    make = dist.ProcessGroupGloo.create_device
    names = "" if local else os.environ.get("GLOO_SOCKET_IFNAME", "")
    try:
        if local:
            return [make(hostname="127.0.0.1")]
        named = [make(interface=name.strip()) for name in names.split(",") if name.strip()]
        return named or [dist.ProcessGroupGloo.create_default_device()]
    except RuntimeError as error:
        if wants_threads(error):
            raise
        told = f"GLOO_SOCKET_IFNAME={names} names no interface that can be used" if names else _NO_DEVICE
        raise LabError(f"{told} ({str(error).partition(chr(10))[0]})") from None


@contextmanager
def _peers_alive() -> Iterator[None]:
    """Tell a broken connection from other errors: it is never the cause, but a rank's death."""
    try:
        yield
    except (RuntimeError, ConnectionResetError) as error:
        said = str(error).partition("\n")[0]
        if "/transport/" not in said and "onnection" not in said:
            raise
        raise LostPeer(f"the connection to another rank broke, so that rank has ended ({said})") from None
