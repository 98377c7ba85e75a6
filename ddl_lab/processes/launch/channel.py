"""Framed messages over a socket between a run's caller, its workers and the fork server.

Both ends belong to one run of one user, over socket pairs that have no name: nobody else can reach them.
"""

from __future__ import annotations

import pickle
import select
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

# the fork server's numbers: once its process id, then for each launch 0, or its limit of files if too low
REPLY = struct.Struct("<q")
UNHEARD = 70  # the exit code of a worker that could not tell its caller why it ends
_LENGTH = struct.Struct("<Q")
_FDS_A_MESSAGE = 200  # the kernel passes at most 253 at a time


class Channel:
    """Sends and receives Python values as frames; sending is safe from several threads."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lock = threading.Lock()
        self._buffer = bytearray()

    def fileno(self) -> int:
        """For selectors."""
        return self.sock.fileno()

    def send(self, *message: Any) -> None:
        """Send one message, a tuple; blocks while the other end is slow to read."""
        data = pickle.dumps(message, protocol=5)
        with self._lock:
            self.sock.sendall(_LENGTH.pack(len(data)) + data)

    def has_room(self) -> bool:
        """Whether a short message can be sent without blocking."""
        poll = select.poll()
        poll.register(self.sock, select.POLLOUT)
        return bool(poll.poll(0))

    def receive(self) -> Any:
        """The next message, blocking; None once the other end has closed.

        Reads no byte beyond it: descriptors that follow belong to ``receive_fds``.
        """
        head = self._exactly(_LENGTH.size)
        body = head and self._exactly(_LENGTH.unpack(head)[0])
        return pickle.loads(body) if body else None

    def _exactly(self, count: int) -> bytes:
        """``count`` bytes, or none where the other end has closed."""
        data = bytearray()
        while len(data) < count:
            try:
                part = self.sock.recv(min(count - len(data), 2**20))
            except OSError:
                part = b""
            if not part:
                return b""
            data += part
        return bytes(data)

    def arrived(self) -> tuple[list[Any], bool]:
        """Call when readable: the messages that are complete, and whether the other end is open."""
        open_still = self._read()
        return list(self._complete()), open_still

    def _read(self) -> bool:
        try:
            data = self.sock.recv(2**20)
        except OSError:
            return False
        self._buffer += data
        return bool(data)

    def _complete(self) -> Iterator[Any]:
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if len(self._buffer) < _LENGTH.size + length:
                return
            data = bytes(self._buffer[_LENGTH.size : _LENGTH.size + length])
            del self._buffer[: _LENGTH.size + length]
            yield pickle.loads(data)

    def close(self) -> None:
        """Close this end; the other reads None."""
        self.sock.close()


def receive_fds(sock: socket.socket, count: int) -> list[int]:
    """``count`` file descriptors that the other end sent, in batches of ``_FDS_A_MESSAGE``.

    Fewer where this process may open no more: the kernel drops the rest.
    """
    fds: list[int] = []
    for _ in range(0, count, _FDS_A_MESSAGE):
        data, some, _, _ = socket.recv_fds(sock, 1, _FDS_A_MESSAGE)
        if not data:
            raise ConnectionResetError("the caller ended while it asked for a run")
        fds += some
    return fds


def send_fds(sock: socket.socket, fds: list[int]) -> None:
    """The other half of ``receive_fds``."""
    for i in range(0, len(fds), _FDS_A_MESSAGE):
        socket.send_fds(sock, [b"f"], fds[i : i + _FDS_A_MESSAGE])
