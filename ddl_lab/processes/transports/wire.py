"""Control messages between ranks: fixed-size records through one pipe a rank, its inbox.

A record tells that something happened (a message is ready, a rank has entered a collective); the tensors
themselves move by a transport. Reading a record also orders memory: what its writer stored in shared memory
before is visible to its reader, on every processor, because both pass through the kernel.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import struct
import termios
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

OFFER, TAKEN, PIECE, ROOM, ENTER, RELEASE, WANT, WORD = range(1, 9)

INLINE = 64  # bytes of a message that fit into a record itself
_RECORD = struct.Struct(f"<BBHIQIiQQddQ{INLINE}s")
BYTES = _RECORD.size
_BATCH = select.PIPE_BUF // BYTES  # records in one write: up to PIPE_BUF, those of several ranks never mix
_SPIN_S = 1.5e-3  # an idle virtual core takes 50 to 150 µs to wake: looking that long first is faster
_MOST_VAIN = 5  # after this many looks in vain, one look in 32 sleeps


class Record(NamedTuple):
    """One control message. ``sender`` is a rank of the run; unused fields are 0."""

    kind: int
    dtype: int = 0
    sender: int = 0
    group: int = 0
    number: int = 0  # of the message by its sender, or of the barrier in its group
    check: int = 0  # checksum of a collective's call
    tag: int = 0
    offset: int = 0  # where in the sender's shared memory
    size: int = 0  # bytes there
    time_a: float = 0.0
    time_b: float = 0.0
    total: int = 0  # elements of the whole message
    inline: bytes = b""  # the message itself, where it is that small; then offset is 0

    def pack(self) -> bytes:
        """This record's ``BYTES`` bytes."""
        return _RECORD.pack(*self)


class Inbox:
    """The reading end of this rank's pipe and the writing ends of all ranks'.

    ``spin``: look for a moment before sleeping, which pays where every rank has a core of its own.
    """

    def __init__(self, read_fd: int, write_fds: list[int], spin: bool) -> None:
        self._fd, self._peers = read_fd, write_fds
        for fd in (read_fd, *write_fds):
            os.set_blocking(fd, False)
        self.unsent: dict[int, deque[bytes]] = {}  # by rank: what its inbox had no room for
        self._poll = select.poll()
        self._poll.register(read_fd, select.POLLIN)
        self.spins = spin
        self._vain = 0  # looks in a row that found nothing
        self._skip = 0  # sleeps to come without a look
        self._gathers = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Post in one write what is posted meanwhile to one rank: a write wakes it, which costs the most."""
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
            self.flush()

    def post(self, rank: int, record: Record) -> None:
        """Write to ``rank``'s inbox; where that has no room, keep the record for ``flush``. Never blocks."""
        data = record.pack()
        if rank not in self.unsent:
            if not self._gathers and self._wrote(rank, data):
                return
            self.unsent[rank] = deque()
        self.unsent[rank].append(data)
        if len(self.unsent[rank]) % _BATCH == 0:  # it may have been read meanwhile
            self.flush()

    def _wrote(self, rank: int, data: bytes) -> bool:
        try:
            os.write(self._peers[rank], data)
        except BlockingIOError:
            return False
        return True

    def flush(self) -> None:
        """Write what was kept, as far as there is room."""
        for rank, kept in list(self.unsent.items()):
            while kept:
                batch = b"".join(islice(kept, _BATCH))
                if not self._wrote(rank, batch):
                    break
                for _ in range(len(batch) // BYTES):
                    kept.popleft()
            if not kept:
                del self.unsent[rank]

    def drop(self, rank: int) -> None:
        """Let go of what was kept for ``rank``: it reads no more."""
        self.unsent.pop(rank, None)

    def ready(self) -> bool:
        """Whether a record is here."""
        return bool(self._poll.poll(0))

    def take(self) -> list[Record]:
        """The records that are here; there must be one."""
        data = os.read(self._fd, _BATCH * BYTES)
        return [Record(*record) for record in _RECORD.iter_unpack(data)]

    def look(self) -> bool:
        """Whether a record is here, looking for a moment where that is cheaper than to sleep.

        On a busy machine the peer has no core to answer from while we look: after looks in vain we look
        ever less often.
        """
        if not self.spins or self._skip:
            self._skip = max(0, self._skip - 1)
            return self.ready()
        end = time.perf_counter() + _SPIN_S
        while not self._poll.poll(0):
            if time.perf_counter() >= end:
                self._vain = min(self._vain + 1, _MOST_VAIN)
                self._skip = 2**self._vain - 1
                return False
        self._vain = 0
        return True

    def sleep(self) -> None:
        """Block until a record is here. The record stays in the pipe, for a supervisor to see."""
        self._poll.poll()

    def nap(self, seconds: float) -> None:
        """Block until a record is here or can be sent, or for a little less than ``seconds``."""
        full = [self._peers[rank] for rank in self.unsent]  # until one of those has room
        select.select([self._fd], full, [], max(0.0, seconds - 150e-6))  # poll counts whole milliseconds

    def leave(self) -> None:
        """For a fork of this rank's process, which is no rank: its calls fail and reach nobody."""
        for fd in self._peers:
            bar(fd, os.O_RDONLY)
        bar(self._fd, os.O_WRONLY)


def bar(fd: int, way: int) -> None:
    """Put a file that can't be used as before in the place of ``fd``, whose number stays taken."""
    null = os.open(os.devnull, way)
    os.dup2(null, fd)
    os.close(null)


def waiting_bytes(read_fd: int) -> int:
    """Bytes in a pipe: how a supervisor sees that a sleeping rank has been called."""
    count = array.array("i", [0])
    fcntl.ioctl(read_fd, termios.FIONREAD, count)
    return count[0]
