"""A file that appears whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write beside the target, then moved into place: a full disk leaves the old one alone.

    ``mode``: who may read and write it, less what the user's umask denies. Raises ``FileNotFoundError`` and
    ``IsADirectoryError`` before anything is written.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first.")
    name = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
        os.replace(name, path)
    except BaseException as error:
        name.unlink()
        if isinstance(error, OSError) and error.filename is None:  # a write: it names no file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
