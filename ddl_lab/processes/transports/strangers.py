"""Whose processes are at the other ends of this process's connections.

gloo does not ask who connects to a rank that waits for its peers: a process of another user of the host, if
it is faster, could take the place of one. Linux tells every socket's owner, so that this can be refused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SOCKETS = Path("/proc/net/tcp")  # local address, the other's, state, owner, inode in columns 1, 2, 3, 7, 9
_LISTENS, _CONNECTED = "0A", "01"
NOBODY = -1


@contextmanager
def no_strangers() -> Iterator[None]:
    """Raise ``PermissionError`` if another user is at an end of a local connection made meanwhile.

    ``ConnectionResetError`` if nobody is there any more. Looks nowhere but on Linux.
    """
    if sys.platform != "linux":
        yield
        return
    before = _own_sockets()
    yield
    uids = owners_beyond(_SOCKETS.read_text(), _own_sockets() - before) - {os.getuid()}
    if NOBODY in uids:  # its end is closed: the system no longer tells whose it was
        raise ConnectionResetError("a connection was closed by the other end")
    if uids:
        raise PermissionError(
            f"a process of another user (id {min(uids)}) has connected in the place of a rank: nothing was "
            "sent. transport='shm' can't be joined by anybody."
        )


def owners_beyond(table: str, inodes: set[str]) -> set[int]:
    """The owners of the other ends of the connections ``inodes``."""
    rows = [line.split() for line in table.splitlines()[1:]]
    owners = {row[1]: int(row[7]) for row in rows if row[3] == _CONNECTED}
    return {owners.get(row[2], NOBODY) for row in rows if row[9] in inodes and row[3] != _LISTENS}


def _own_sockets() -> set[str]:
    """The inodes of this process's sockets."""
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        try:
            name = os.readlink(entry.path)
        except FileNotFoundError:  # the descriptor of this very look
            continue
        if name.startswith("socket:["):
            found.add(name[8:-1])
    return found
