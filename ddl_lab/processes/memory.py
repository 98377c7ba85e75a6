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
    os.ftruncate(fd, size)
    return fd


def attach(fd: int) -> tuple[mmap.mmap, torch.Tensor]:
    """The shared bytes of ``fd``, as a buffer and as a uint8 tensor over the same memory."""
    buffer = mmap.mmap(fd, 0)
    return buffer, torch.frombuffer(buffer, dtype=torch.uint8)
