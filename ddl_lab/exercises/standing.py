"""``lab.progress``: what of the whole course is done, from the learner's own file."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping
from math import isnan
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import LabError
from ..history.files import whole_file
from ..learner.better import told
from ..learner.file import Notes, attended, current
from ..learner.near import dot_of, in_sight
from ..learner.numbers import kept
from . import certificate as pages
from .machine import EXERCISES, Exercise

PICTURE = "Your exercises and predictions, by lab"


def progress(certificate: str | PathLike[str] | None = None, *, name: str = "") -> None:
    """Draw all labs' exercises (right, tried, open) and predictions, and say whether these got better.

    ``certificate``: also write one page of HTML there, picture inside, of what was done, when, and what that
    doesn't prove; ``name``: whose it is, as they say. Where nobody sits at the notebook nothing is written.
    Raises ``ValueError`` for a file that isn't named .html, ``LabError`` where it can't be written.
    """
    from IPython.display import display

    from ..plots.standing import Mark, standing

    path = None if certificate is None else _page_at(certificate)
    notes = current().read()
    exercises = sorted(all_exercises(), key=lambda e: (e.key[:2], e.difficulty))
    marks = [Mark(e.key[:2], state_of(e, notes), e.difficulty, e.minutes) for e in exercises]
    dots = dots_of(notes)
    figure = standing(marks, dots, PICTURE)
    display(figure)
    done, tried = (sum(mark.state == state for mark in marks) for state in ("right", "tried"))
    written, beside = len(_written(notes)), sum(map(len, dots.values()))
    text = f"{done} of {len(marks)} exercises right, {tried} more tried; {written} predictions written"
    print(f"{text}, {beside} of them beside its result." if beside else f"{text}.")
    if beside:
        print(told(dots))
    if path is not None:
        _certify(path, name, notes, figure.png())  # type: ignore[attr-defined]


def _page_at(certificate: str | PathLike[str]) -> Path:
    path = Path(certificate).expanduser()
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(
            f"certificate={str(certificate)!r}: it is a page of HTML; name it so, as in 'certificate.html'."
        )
    return path


def _certify(path: Path, name: str, notes: Notes, picture: bytes) -> None:
    if not attended():
        print("Nobody sits here: no certificate is written.")
        return
    known = sorted(all_exercises(), key=lambda e: e.key)
    solved = [(e, pages.day_of(notes["exercises"][e.key])) for e in known if state_of(e, notes) == "right"]
    predictions = _written(notes)
    said = [told(dots_of(notes))]
    if unread := len(notes["predictions"]) - len(predictions):
        said.append(f"{unread} entries of the file tell of no prediction with a number, and are left out.")
    text = pages.page(name.strip(), solved, known, predictions, said, picture)
    try:
        with whole_file(path) as file:
            file.write(text.encode(errors="replace"))
    except OSError as error:
        raise LabError(f"the certificate can't be written: {error}") from None
    print(f"Your certificate: {path.resolve()}")


def _written(notes: Notes) -> list[pages.Written]:
    """The predictions that have a number, in their labs' order."""
    known = sorted(notes["predictions"].items())
    found = [pages.written(key, entry, _dot(entry)) for key, entry in known]
    return [one for one in found if one is not None]


def all_exercises() -> list[Exercise]:
    """Those of all labs, in the order in which each lab has them."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("lab_"):
            importlib.import_module(f".{module.name}", __package__)
    return list(EXERCISES.values())


def state_of(exercise: Exercise, notes: Notes) -> str:
    """ "right", "tried" or "open"."""
    known = notes["exercises"].get(exercise.key, {})
    return "right" if known.get("done") else "tried" if known.get("tried") else "open"


def dots_of(notes: Notes) -> dict[str, list[float]]:
    """Where each prediction's dot stands, by lab: measured / predicted, or 1 where it was right."""
    by_lab: dict[str, list[float]] = {}
    for key, known in sorted(notes["predictions"].items()):
        if (dot := _dot(known)) is not None and re.match(r"\d\d\.", key):
            by_lab.setdefault(key[:2], []).append(dot)
    return by_lab


def _dot(known: Mapping[str, Any]) -> float | None:
    """None where either number is missing, or the prediction was written after its result."""
    predicted, measured, dot = (kept(known.get(name)) for name in ("value", "measured", "dot"))
    if known.get("late") or predicted is None or measured is None or isnan(predicted) or isnan(measured):
        return None
    return in_sight(dot) if dot is not None and dot > 0 else dot_of(predicted, measured)
