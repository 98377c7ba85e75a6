"""``lab.progress``: what of the whole course is done, from the learner's own file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from ..learner.file import Notes, current
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
    display(standing(marks, ratios_of(notes), "Your exercises and predictions, by lab"))
    done, tried = (sum(mark.state == state for mark in marks) for state in ("right", "tried"))
    written = notes["predictions"].values()
    beside = sum("value" in known and "measured" in known for known in written)
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


def ratios_of(notes: Notes) -> dict[str, list[float]]:
    """Measured / predicted by lab, where that is a positive number."""
    by_lab: dict[str, list[float]] = {}
    for key, known in sorted(notes["predictions"].items()):
        if (ratio := _ratio(known)) is not None:
            by_lab.setdefault(key[:2], []).append(ratio)
    return by_lab


def _ratio(known: Mapping[str, Any]) -> float | None:
    predicted, measured = known.get("value"), known.get("measured")
    if not isinstance(predicted, int | float) or not isinstance(measured, int | float):
        return None
    return measured / predicted if predicted and 0 < measured / predicted < float("inf") else None
