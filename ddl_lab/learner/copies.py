"""The learner's own copies of the labs: made without outputs, updated where unchanged, brought back fresh.

    python -m ddl_lab.learner.copies labs my_labs

Beside the copies lies ``.ddl_lab_copies.json``: where the labs come from, and for each a hash of its cells'
sources as they were copied. Running a lab changes its file and not its sources: so a copy that was run is
updated with the course, one that was edited stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import LabError
from ..history.files import whole_file
from .stripped import without_outputs

NOTES = ".ddl_lab_copies.json"


def hand_out(labs: Path, folder: Path) -> list[str]:
    """Copy what ``folder`` lacks of ``labs``, update what is unchanged there, and tell it, a sentence each.

    Nothing that a learner edited is written to. Raises ``LabError`` where ``labs`` has no notebooks or
    is ``folder``, ``OSError`` where ``folder`` can't be written.
    """
    origins = sorted(labs.glob("*.ipynb"))
    if not origins:
        raise LabError(f"there are no labs in {labs}: expected the course's folder with its notebooks")
    if folder.resolve() == labs.resolve():
        raise LabError(
            f"{folder} is the course's own folder of labs: give copies another one, such as my_labs"
        )
    folder.mkdir(parents=True, exist_ok=True)
    known = _read_notes(folder)["copied"]
    said: list[str] = []
    for origin in origins:
        text = without_outputs(origin)
        is_now, was, new = _hash_of(folder / origin.name), known.get(origin.name), _hash(json.loads(text))
        if is_now is None or (is_now == was and is_now != new):
            _put(folder / origin.name, text)
            said.append(f"{origin.name}: {'copied' if is_now is None else 'updated'}")
            known[origin.name] = new
        elif is_now == new:
            known[origin.name] = new
        elif was != new:
            call = f"lab.fresh({origin.name[:2]!r})"
            said.append(f"{origin.name}: yours is changed and stays; {call} brings the new one")
    _put(folder / NOTES, json.dumps({"labs": str(labs.resolve()), "copied": known}, indent=1) + "\n")
    return said


def fresh(lab: str) -> None:
    """Bring a lab back as the course has it: ``lab.fresh("03")``; the old copy is kept beside it.

    To be called in a notebook that lies among the copies. Raises ``LabError`` elsewhere, and where
    ``lab`` is not how one lab's name begins.
    """
    folder = Path.cwd()
    labs = _read_notes(folder)["labs"]
    if labs is None:
        raise LabError(
            f"lab.fresh works where your copies of the labs are (make lab opens them); {folder} has none"
        )
    found = [path for path in sorted(Path(labs).glob("*.ipynb")) if lab and path.name.startswith(lab)]
    if len(found) != 1:
        there = ", ".join(path.stem for path in sorted(Path(labs).glob("*.ipynb"))) or f"none in {labs}"
        raise LabError(f"no one lab begins with {lab!r}; there are: {there}")
    kept = bring_back(found[0], folder)
    print(f"{found[0].name} is fresh." + (f" What you had is kept as {kept.name}." if kept else ""))
    print("If it is open: File → Reload Notebook from Disk.")


def bring_back(origin: Path, folder: Path) -> Path | None:
    """Put a fresh copy of ``origin`` into ``folder``; where a copy was, its new name beside it."""
    copy, text = folder / origin.name, without_outputs(origin)
    kept = _beside(copy) if copy.exists() else None
    if kept is not None:
        os.replace(copy, kept)
    _put(copy, text)
    notes = _read_notes(folder)
    notes["copied"][copy.name] = _hash(json.loads(text))
    _put(folder / NOTES, json.dumps(notes, indent=1) + "\n")
    return kept


def _beside(copy: Path) -> Path:
    """A name beside the copy's that is free."""
    number = 1
    while (kept := copy.with_name(f"{copy.stem}.mine-{number}.ipynb")).exists():
        number += 1
    return kept


def _read_notes(folder: Path) -> dict[str, Any]:
    """What was copied from where; empty where nothing was, or where the notes are damaged."""
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        return {"labs": str(notes["labs"]), "copied": dict(notes["copied"])}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {"labs": None, "copied": {}}  # then every copy that differs from its lab counts as changed


def _hash_of(path: Path) -> str | None:
    """The hash of a copy's sources; None where there is no copy; "theirs" where it is no notebook of ours."""
    if path.is_symlink():
        return "theirs"
    try:
        return _hash(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "theirs"


def _hash(notebook: Mapping[str, Any]) -> str:
    """Of the cells' kinds and sources; an empty cell, as a page adds at the end, counts for nothing."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    written = json.dumps([cell for cell in cells if cell[1].strip()])
    return hashlib.sha256(written.encode()).hexdigest()


def _put(path: Path, text: str) -> None:
    """Put a file with ``text`` in the place of ``path``, or change nothing."""
    with whole_file(path) as file:
        file.write(text.encode())


def main() -> int:
    """Do what the command line says: the folder of the labs, and that of the copies."""
    if len(sys.argv) != 3:
        print(f"usage: python -m {__spec__.name} LABS COPIES")
        return 2
    try:
        said = hand_out(Path(sys.argv[1]), Path(sys.argv[2]))
    except (OSError, LabError) as error:
        print(f"your copies of the labs: {error}")
        return 1
    print(*said, sep="\n", end="\n" if said else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
