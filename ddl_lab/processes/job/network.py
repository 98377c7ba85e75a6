"""Control messages and calls of a job's ranks, over the network: no memory is shared, and no board seen."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch

from ..transports.gloo import GlooEndpoint
from ..transports.wire import BYTES, Inbox, Record

_BYE = 0


class NetworkInbox(Inbox):
    """An inbox whose records come over the network: a thread puts them into this process's own pipe."""

    def __init__(self, network: Any, rank: int) -> None:
        read, self._write = os.pipe()
        super().__init__(read, [], spin=False)
        self.spins = True  # every rank tells all others: each then sees a mismatch itself
        self._network, self._rank = network, rank
        self._under_way: deque[tuple[Any, torch.Tensor]] = deque()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        if network.size() > 1:
            self._thread.start()

    def look(self) -> bool:
        """Records come through a thread: it needs the time that looking would take."""
        return False

    def post(self, rank: int, record: Record) -> None:
        """Send a record to ``rank``."""
        data = torch.frombuffer(bytearray(record.pack()), dtype=torch.uint8)
        while self._under_way and self._under_way[0][0].is_completed():
            self._under_way.popleft()
        self._under_way.append((self._network.send([data], rank, 0), data))

    def _listen(self) -> None:
        data = torch.zeros(BYTES, dtype=torch.uint8)
        while True:
            self._network.recv_anysource([data], 0).wait()
            if data[0] == _BYE:
                return
            os.write(self._write, data.numpy().tobytes())

    def wake(self) -> None:
        """Let whoever sleeps for a record wake up."""
        os.write(self._write, Record(_BYE).pack())

    def close(self) -> None:
        """End the thread, by a word from the neighbour: all ranks close together."""
        size = self._network.size()
        if size > 1:
            self.post((self._rank + 1) % size, Record(_BYE))
            self._thread.join()
            for work, _ in self._under_way:
                work.wait()
        for fd in (self._fd, self._write):
            os.close(fd)


class JobEndpoint(GlooEndpoint):
    """A rank of a job: its peers' calls are asked for through the job's store, not seen on a board."""

    def begin(self) -> None:
        """The common start: now."""
        self.origin = time.monotonic()
        self._slot.running()

    def _calls(self, ranks: Sequence[int], call: str, place: tuple[int, int]) -> dict[int, str]:
        name = f"call-{place[0]}-{place[1]}"
        self.store.set(f"{name}-{self.rank}", call)
        return {rank: self.store.get(f"{name}-{rank}").decode() for rank in ranks}
