"""Saving so that a death at any moment leaves a whole file."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from ..helpers import Answer, Wrong
from ..machine import Exercise

COUNT = 30_000  # numbers in the state: more than a file object holds back


def _save(state, path):  # type: ignore[no-untyped-def]
    beside = f"{path}.new"  # in the same folder: a rename can't cross disks
    with open(beside, "wb") as file:
        torch.save(state, file)
        file.flush()  # from Python to the system: torch.save does it by itself, other writers don't
        os.fsync(file.fileno())  # from the system to the disk
    os.replace(beside, path)


RENAMES = (os.replace, os.rename)
SYNCS = (os.fsync, *(getattr(os, name) for name in ("fdatasync", "sync") if hasattr(os, name)))


def _open() -> set[int]:
    """The inodes of what is open in this process: only of that a sync can be."""
    found = set()
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # listing them was open for a moment, too
            found.add(os.fstat(int(name)).st_ino)
    return found


class _Watch:
    """What a folder holds, by inode, whenever somebody is about to rename or has bytes put on the disk.

    A profile of C calls sees ``os.replace`` by whatever name it was imported, and from whatever module.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.synced: dict[int, int] = {}  # bytes by inode, as the last sync found them
        self.renamed: list[tuple[dict[int, int], dict[int, int]]] = []  # (bytes, bytes synced) at each rename
        self.names: set[str] = set()  # what lay there at the last rename

    def sizes(self) -> dict[int, int]:
        return {path.stat().st_ino: path.stat().st_size for path in self._folder.rglob("*") if path.is_file()}

    def _called(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call" and arg in RENAMES:
            self.renamed.append((self.sizes(), dict(self.synced)))
            self.names = {path.name for path in self._folder.iterdir()}
        elif event == "c_call" and arg in SYNCS:
            synced = _open() if arg is not getattr(os, "sync", None) else None
            self.synced |= {
                inode: size for inode, size in self.sizes().items() if synced is None or inode in synced
            }

    def over(self, act: Callable[[], Any]) -> None:
        """Do it, watched."""
        before = sys.getprofile()
        sys.setprofile(self._called)
        try:
            act()
        finally:
            sys.setprofile(before)


def _check_atomic(answer: Answer) -> str:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, "run")
        folder.mkdir()
        path = folder / "checkpoint.pt"
        for step in (1, 2):  # the first has nothing to replace
            names = _once(answer, path, {"step": step, "theta": torch.full((COUNT,), float(step))})
        _after_a_death(answer, path, names - {path.name})
        for asked, kind in ((str(path), "a str"), (path, "a Path")):
            _other_kind(answer, asked, kind)
    return "a first file, one in the place of another; when bytes reach the disk, and when the name"


def _after_a_death(answer: Answer, path: Path, names: set[str]) -> None:
    """Who died before the rename has left a torn file beside path: the next save gets by."""
    for name in names:
        path.with_name(name).write_bytes(b"torn" * COUNT * 2)
    state = {"step": 4, "theta": torch.full((COUNT,), 4.0)}
    try:
        answer(state, str(path))
        _right_file(path, state)
    except FileExistsError:
        raise Wrong(f"a torn {' and '.join(names)} of one who died stops your function for ever") from None
    except Wrong as error:
        raise Wrong(
            f"where a torn {' and '.join(names)} of one who died lies: {error}; write it anew"
        ) from None
    for name in names:
        path.with_name(name).unlink(missing_ok=True)


def _once(answer: Answer, path: Path, state: dict[str, Any]) -> set[str]:
    """Check one save; the names that lay in the folder when the new file got its own."""
    before = path.stat().st_ino if path.exists() else None
    watch = _Watch(path.parent)
    try:
        watch.over(lambda: answer(state, str(path)))
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise Wrong("a rename can't cross disks, and your temporary file lies on another one") from None
        raise
    _right_file(path, state)
    after = path.stat()
    if after.st_ino == before:
        raise Wrong("you write into the old file: who dies on the way has lost it, and has no new one")
    if not watch.renamed:
        raise Wrong("the file comes to be under its own name: write beside it, and rename when it is whole")
    there, synced = watch.renamed[-1]
    _in_order(after.st_ino, after.st_size, there, synced)
    if before is not None and path.name not in watch.names:
        raise Wrong(
            f"when the new file gets its name the old one has lost it: who dies between leaves no "
            f"{path.name}. os.replace puts one in the place of the other at once"
        )
    if others := [other.name for other in path.parent.iterdir() if other != path]:
        raise Wrong(f"{', '.join(others)} stays behind beside {path.name}")
    return watch.names


def _right_file(path: Path, state: dict[str, Any]) -> None:
    if not path.is_file():
        raise Wrong("there is no file at path when your function returns")
    try:
        found = torch.load(path, weights_only=True)
    except Exception as error:
        raise Wrong(f"torch.load can't read the file: {error!s:.80}") from None
    alike = isinstance(found, dict) and found.get("step") == state["step"]
    if not alike or not torch.equal(found["theta"], state["theta"]):
        raise Wrong("the file holds something else than the state: torch.save(state, …) all of it")


def _in_order(inode: int, size: int, there: dict[int, int], synced: dict[int, int]) -> None:
    """The new file was in the folder, whole, and on the disk, when it got its name."""
    if inode not in there:
        raise Wrong(
            "your temporary file lies in another folder, which may be on another disk: a rename can't cross "
            "disks, and a move that copies can be torn. Write beside path"
        )
    if there[inode] < size:
        raise Wrong(
            f"at the rename {there[inode]:,} of {size:,} bytes were in the file: the rest was still in "
            "Python's buffer; close the file first, or flush it"
        )
    if inode not in synced:
        raise Wrong(
            "nothing says that the file's bytes are on the disk when the new name is: "
            "os.fsync(file.fileno()) before the rename, or a power cut can leave the name and no bytes"
        )
    if synced[inode] < size:
        raise Wrong(
            f"at os.fsync the file had {synced[inode]:,} of {size:,} bytes: the rest was still in Python's "
            "buffer; file.flush() before it"
        )


def _other_kind(answer: Answer, path: Any, kind: str) -> None:
    try:
        answer({"step": 3, "theta": torch.ones(3)}, path)
    except (TypeError, AttributeError) as error:
        raise Wrong(f"path may be a str or a Path; for {kind} your function raises: {error}") from None


atomic = Exercise(
    key="14.atomic",
    title="A save that can't be torn",
    difficulty=1,
    minutes=8,
    reference=_save,
    check=_check_atomic,
    hints=(
        "Never write under the name that others read: write beside it, and rename when all is there.",
        'The temporary file lies in the same folder, as in `f"{path}.new"`. `os.replace` renames it.',
        "Before the rename: `file.flush()`, then `os.fsync(file.fileno())`, then close.",
    ),
)
