"""Collectives that go on while a rank computes, over gloo: a thread for each moves the parts.

Where ranks disagree their parts have other sizes than expected, for which gloo ends the process. So each pair
of ranks first compares a checksum of its calls, and the sizes of what it will swap.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from .posted import Posted


class Mover(threading.Thread):
    """Sends and receives the parts of one collective; ``posted.parts`` are all here when it has ended."""

    def __init__(
        self, posted: Posted, world: Any, tags: range, alive: Callable[[], AbstractContextManager[None]]
    ) -> None:
        super().__init__(daemon=True, name="ddl_lab collective")
        self._posted, self._world, self._alive = posted, world, alive
        self._tag = tags[zlib.crc32(repr(posted.place).encode()) % len(tags)]
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with self._alive():
                self._move()
        except Exception as error:  # the rank raises it, when it waits
            self.error = error

    def _move(self) -> None:
        posted = self._posted
        peers = [peer for peer in range(len(posted.group.ranks)) if peer != posted.group.me]
        call = zlib.crc32(posted.work.call.encode())
        gives = {peer: posted.gives(peer).numel() for peer in peers}
        mine = {peer: torch.tensor([call, gives[peer], posted.takes(peer)]) for peer in peers}
        theirs = {peer: torch.empty_like(check) for peer, check in mine.items()}
        self._swap(mine, theirs)
        same = [p for p in peers if theirs[p].tolist() == [call, posted.takes(p), gives[p]]]
        posted.parts |= {peer: posted.work.given.new_empty(posted.takes(peer)) for peer in same}
        self._swap({peer: posted.gives(peer) for peer in same}, posted.parts)

    def _swap(self, given: dict[int, Tensor], taken: dict[int, Tensor]) -> None:
        """Send each peer its tensor and receive another; empty ones, which gloo would wait for, stay."""
        ranks, works = self._posted.group.ranks, []
        for peer, part in given.items():
            if part.numel():
                works.append(self._world.send([part.view(torch.uint8)], ranks[peer], self._tag))
            if taken[peer].numel():
                works.append(self._world.recv([taken[peer].view(torch.uint8)], ranks[peer], self._tag))
        for work in works:
            work.wait()
