"""The board: what every rank of a run is doing, in shared memory, for reports and for finding
deadlocks.

Each rank writes its own slot, the supervisor reads all. A rank that is about to sleep says what it
waits for and which ranks could end the wait; so when all are asleep with empty inboxes, nobody will
ever act again.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import Any

from ...errors import Wait

STARTING, RUNNING, BLOCKED, RETURNED = range(4)
MAX_RANKS = 256
_HEAD = struct.Struct("<QIId32sH")  # version, state, what ends it, since, needs as a bit mask, text length
_ALL, _ANY, _LED = range(3)  # all that it needs act; one of them; from here on: this, and a leader's rank
_TEXT = 168
_PLACE = 232  # where the last collective's group, meeting and number stand
_MEETING = struct.Struct("<QQQ")
_CALL = 256  # where its text stands
SLOT = 512


@dataclass(frozen=True)
class Status:
    """One rank's slot as read: equal versions mean that nothing changed in between."""

    rank: int
    version: int
    state: int
    since: float  # time.monotonic
    wait: Wait
    place: tuple[int, int] | None = None  # of the collective it waits in: equal for all ranks in that one
    leader: int | None = None  # whose word ends the wait, where ``wait.needs`` are all who must have come
    entered: tuple[int, int] = (0, 0)  # the last collective that it entered: its group's key, its number


def doing(status: Status) -> str:
    """What a rank is doing and since when, in words."""
    call = status.wait.call
    words = {
        STARTING: "is ready and waits for the others" if call else "starts: it loads the worker",
        RUNNING: f"sends, in {call}" if call else "computes and does not call the node",
        BLOCKED: f"waits in {status.wait.told()}",
        RETURNED: "has returned",
    }[status.state]
    return f"{words} ({time.monotonic() - status.since:.1f} s)" if status.since else words


class Board:
    """The slots of ``nodes`` ranks at the head of the run's shared memory."""

    def __init__(self, buffer: Any, nodes: int) -> None:
        self._buffer, self.nodes = buffer, nodes

    @staticmethod
    def size(nodes: int) -> int:
        """Bytes of a board for ``nodes`` ranks, a whole number of pages."""
        return -(-nodes * SLOT // 4096) * 4096

    def read(self, rank: int) -> Status:
        """What ``rank`` last wrote of itself."""
        at = rank * SLOT
        version, state, ends, since, mask, length = _HEAD.unpack_from(self._buffer, at)
        text = bytes(self._buffer[at + _HEAD.size : at + _HEAD.size + length]).decode(errors="replace")
        bits = int.from_bytes(mask, "little")
        needs = tuple(r for r in range(self.nodes) if bits >> r & 1)
        key, number, nth = _MEETING.unpack_from(self._buffer, at + _PLACE)
        meets = bool(text) and text == self.call(rank)
        wait = Wait(rank, text, needs, ends == _ANY, nth if meets else 0)
        leader = ends - _LED if ends >= _LED else None
        place = (key, number) if meets else None
        return Status(rank, version, state, since, wait, place, leader, (key, number))

    def call(self, rank: int) -> str:
        """The collective that ``rank`` last entered."""
        at = rank * SLOT + _CALL
        return bytes(self._buffer[at : at + SLOT - _CALL]).split(b"\0")[0].decode(errors="replace")


class Slot:
    """One rank's own slot."""

    def __init__(self, buffer: Any, rank: int) -> None:
        self._buffer, self._at = buffer, rank * SLOT
        self._version = 0
        self._call = ""

    def ready(self) -> None:
        """Say that this rank has its worker and waits for the common start."""
        self._write(STARTING, _ALL, 0, b"the common start")

    def running(self) -> None:
        """Say that this rank computes."""
        self._write(RUNNING, _ALL, 0, b"")

    def blocked(self, call: str, needs: tuple[int, ...], any_of: bool, leader: int | None = None) -> None:
        """Say that this rank is about to sleep in ``call`` until one, or all, of ``needs`` act.

        ``leader``: who says so when all of them have; some of them may have acted long ago.
        """
        ends = _LED + leader if leader is not None else _ANY if any_of else _ALL
        self._write(BLOCKED, ends, sum(1 << r for r in needs), call.encode()[:_TEXT])

    def sending(self, call: str) -> None:
        """Say that this rank is in ``call`` and has yet to send what a full inbox had no room for."""
        self._write(RUNNING, _ALL, 0, call.encode()[:_TEXT])

    def returned(self) -> None:
        """Say that this rank's worker has ended."""
        self._write(RETURNED, _ALL, 0, b"")

    def _write(self, state: int, ends: int, mask: int, text: bytes) -> None:
        self._version += 1
        end = self._at + _HEAD.size
        self._buffer[end : end + len(text)] = text
        head = (
            self._version,
            state,
            ends,
            time.monotonic(),
            mask.to_bytes(32, "little"),
            len(text),
        )
        _HEAD.pack_into(self._buffer, self._at, *head)

    def entered(self, call: str, place: tuple[int, int], nth: int) -> None:
        """Leave what collective this is: its ``place``, that it is the group's ``nth``, and its text."""
        _MEETING.pack_into(self._buffer, self._at + _PLACE, *place, nth)
        if call != self._call:
            self._call = call
            at = self._at + _CALL
            text = call.encode()[:_TEXT] + b"\0"
            self._buffer[at : at + len(text)] = text
