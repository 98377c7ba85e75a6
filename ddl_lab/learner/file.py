"""The learner's own file: predictions written and exercises done. It outlives the kernel.

One small JSON file, ``learner.json``, in a folder that nobody else can read: ``$DDL_LAB_HOME``, or
``ddl_lab`` in ``$XDG_DATA_HOME`` or ``~/.local/share``. Every change reads the file, adds what is new,
and puts a whole new file in its place, under a lock: two kernels lose nothing of each other's.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ..history.files import whole_file
from ..travel.shell import shell

Notes: TypeAlias = dict[str, dict[str, dict[str, Any]]]  # section -> key -> what is known of it
SECTIONS = ("exercises", "predictions", "tries")
# keys of what has moved to another lab: notes under the old one count for the new, and become so
MOVED = {"09.place": "10.place", "09.half": "10.half", "09.tensor": "10.tensor"}


def home() -> Path:
    """The folder of the learner's file; it need not exist."""
    if told := os.environ.get("DDL_LAB_HOME"):
        return Path(told).expanduser()
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (data if data.is_absolute() else Path("~/.local/share").expanduser()) / "ddl_lab"


def attended() -> bool:
    """Whether somebody sits at a notebook and could type: only then is anything asked or saved.

    A page that runs a cell tells the kernel that it takes input; programs that run notebooks (nbval,
    nbclient, nbgrader) tell it that they don't. ``DDL_LAB_UNATTENDED=1`` says no in any case.
    """
    if os.environ.get("DDL_LAB_UNATTENDED", "0") not in ("", "0"):
        return False
    get_parent: Callable[[], Any] | None = getattr(shell(), "get_parent", None)
    if get_parent is None:  # a script, or a shell without a page
        return False
    asked = get_parent() or {}
    ran_a_cell = asked.get("header", {}).get("msg_type") == "execute_request"
    return bool(asked["content"].get("allow_stdin")) if ran_a_cell else True  # else: a widget spoke


def today() -> str:
    """The date, where the learner is: "2026-11-30"."""
    return datetime.date.today().isoformat()


def current() -> LearnerFile:
    """The file of who sits here; one that stays in memory where nobody does."""
    folder = home() if attended() else None
    return _files.setdefault(folder, LearnerFile(folder))


class LearnerFile:
    """The notes in ``folder``, or in memory alone where it is None.

    What can't be saved is said once and kept in memory; nothing here raises ``OSError``.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._unsaved = _empty()
        self._complained = False

    def read(self) -> Notes:
        """All notes, those of other kernels included."""
        return _merged(self._saved(), self._unsaved)

    def known(self, section: str, key: str) -> dict[str, Any]:
        """What is known of ``key``, also where another lab had it once."""
        return self.read().get(section, {}).get(MOVED.get(key, key), {})

    def note(self, section: str, key: str, **values: Any) -> None:
        """Add ``values`` to what is known of ``key``; ``section`` is one of ``SECTIONS``."""
        self._unsaved = _merged(self._unsaved, {section: {MOVED.get(key, key): values}})
        if self.folder is None:
            return
        try:
            self._save(self.folder)
        except OSError as error:
            self._complain(error)
        else:
            self._unsaved = _empty()

    def _saved(self) -> Notes:
        if self.folder is None:
            return _empty()
        try:
            try:
                return _load(self.folder)
            except ValueError:
                with _locked(self.folder):  # another kernel may have put it right by now
                    return _load_or_set_aside(self.folder)
        except OSError as error:
            self._complain(error)
            return _empty()

    def _save(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(folder):
            notes = _merged(_load_or_set_aside(folder), self._unsaved)
            text = json.dumps(notes, indent=1, ensure_ascii=False, sort_keys=True)
            _replace(folder / "learner.json", text + "\n")

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            why = error.strerror or type(error).__name__
            print(f"Your predictions and exercises can't be kept in {self.folder} ({why}).")
            print("They last until this kernel ends; all cells work.")
        self._complained = True


_files: dict[Path | None, LearnerFile] = {}


def _empty() -> Notes:
    return {section: {} for section in SECTIONS}


def _merged(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Notes:
    """Both, and of what both tell about the same key the newer."""
    merged: Notes = {section: dict(entries) for section, entries in older.items()}
    for section, entries in newer.items():
        known = merged.setdefault(section, {})
        for key, values in entries.items():
            known[key] = {**known.get(key, {}), **values}
    return merged


def _load(folder: Path) -> Notes:
    """What the file says; ``ValueError`` if that is no notes, ``OSError`` if it can't be read."""
    try:
        notes = json.loads((folder / "learner.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _empty()
    except RecursionError:
        raise ValueError("learner.json is nested too deep") from None
    if not _is_nested(notes, 2):
        raise ValueError("learner.json holds no notes")
    return _merged(_empty(), {section: _moved(entries) for section, entries in notes.items()})


def _moved(entries: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is known under old keys, under the new ones; of what both tell, the new one's."""
    renamed = {new: entries[old] | entries.get(new, {}) for old, new in MOVED.items() if old in entries}
    return {key: known for key, known in entries.items() if key not in MOVED} | renamed


def _is_nested(value: Any, levels: int) -> bool:
    inner = isinstance(value, dict)
    return inner and (not levels or all(_is_nested(v, levels - 1) for v in value.values()))


def _load_or_set_aside(folder: Path) -> Notes:
    """What the file says; a damaged one gets another name. To be called under the lock."""
    try:
        return _load(folder)
    except ValueError:
        number = 1
        while (aside := folder / f"learner.damaged-{number}.json").exists():
            number += 1
        os.replace(folder / "learner.json", aside)
        print(f"Your file of predictions and exercises was damaged: it is kept as {aside}, a new one begins.")
        return _empty()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with contextlib.suppress(OSError):  # a network disk without locks: each file is whole even so
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _replace(path: Path, text: str) -> None:
    """Put a file with ``text``, readable by its owner only, in the place of ``path``, or change nothing."""
    with whole_file(path, mode=0o600) as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
