"""``lab.progress``: what of the whole course is done, from the learner's own file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from ..learner.file import Notes, current
from ..learner.near import dot_of
from .machine import EXERCISES, Exercise


def progress() -> None:
    """Draw all labs' exercises (right, tried, open) and how near the predictions came; say it in a line."""
    from IPython.display import display

    from ..plots.standing import Mark, standing

    notes = current().read()
    marks = [
        Mark(e.key[:2], state_of(e, notes), e.difficulty, e.minutes)
        for e in sorted(all_exercises(), key=lambda e: (e.key[:2], e.difficulty))
    ]
    display(standing(marks, dots_of(notes), "Your exercises and predictions, by lab"))
    done, tried = (sum(mark.state == state for mark in marks) for state in ("right", "tried"))
    written = notes["predictions"].values()
    beside = sum(_dot(known) is not None for known in written)
    text = f"{done} of {len(marks)} exercises right, {tried} more tried; "
    text += f"{sum('value' in known for known in written)} predictions written"
    print(f"{text}, {beside} of them beside its result." if beside else f"{text}.")


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
        if (dot := _dot(known)) is not None:
            by_lab.setdefault(key[:2], []).append(dot)
    return by_lab


def _dot(known: Mapping[str, Any]) -> float | None:
    """None where either number is missing, or the prediction was written after its result."""
    predicted, measured, dot = known.get("value"), known.get("measured"), known.get("dot")
    if known.get("late") or not isinstance(predicted, int | float) or not isinstance(measured, int | float):
        return None
    if measured != measured:  # nan
        return None
    return float(dot) if isinstance(dot, int | float) and dot > 0 else dot_of(predicted, measured)
