"""Memory that the processes of one run share, and that nobody else can name.

On Linux it is an anonymous file (memfd), elsewhere a file in a private folder that is unlinked as soon
as it is open. Either way it has no name left: no other user can open it, and nothing stays behind
however the run ends.
"""

from __future__ import annotations

import mmap
import os
import tempfile

import torch


def create(size: int) -> int:
    """A file descriptor of ``size`` shared bytes, all zero; pages take memory when first written.

    A memfd is not bound by the size of /dev/shm, which containers keep at 64 MB.
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("ddl_lab", os.MFD_CLOEXEC)
    else:
        fd, path = tempfile.mkstemp(prefix="ddl_lab_")
        os.unlink(path)
    try:
        os.ftruncate(fd, size)
    except OSError:
        os.close(fd)
        raise
    return fd


def opens_anew() -> bool:
    """Whether who holds such a descriptor can open the file once more, at ``path_of`` it.

    Elsewhere (macOS) a descriptor's path is the descriptor itself, with one position and one lock for all.
    """
    return hasattr(os, "memfd_create")


def path_of(fd: int) -> str:
    """A path at which this process, and no other user's, opens the file of ``fd`` anew."""
    return f"/proc/self/fd/{fd}"


def filled(data: bytes) -> int:
    """A file descriptor of shared bytes that hold ``data`` (one byte where it is empty).

    Raises ``OSError`` where there is no room for them.
    """
    fd = create(max(1, len(data)))
    rest = memoryview(data)
    try:
        while rest:  # one call writes 2 GB at most
            rest = rest[os.pwrite(fd, rest, len(data) - len(rest)) :]
    except OSError:
        os.close(fd)
        raise
    return fd


def attach(fd: int) -> tuple[mmap.mmap, torch.Tensor]:
    """The shared bytes of ``fd``, as a buffer and as a uint8 tensor over the same memory."""
    buffer = mmap.mmap(fd, 0)
    return buffer, torch.frombuffer(buffer, dtype=torch.uint8)
