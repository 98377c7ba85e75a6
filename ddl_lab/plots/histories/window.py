"""Which part of a run a timeline shows: by seconds, by steps, or the first steps of a long one."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...counted import counted
from ...history.history import History

FIRST_STEPS = 10
_UNITS = ((2e-3, 1e6, "microseconds"), (2.0, 1e3, "milliseconds"), (np.inf, 1.0, "seconds"))


@dataclass(frozen=True)
class Window:
    """Start and end in seconds, and what to call it: "" for the whole run."""

    start_s: float
    end_s: float
    words: str = ""

    @property
    def unit(self) -> tuple[float, str]:
        """How many of a unit make a second, and its name: one that fits the length."""
        length_s = self.end_s - self.start_s
        return next((factor, name) for limit, factor, name in _UNITS if length_s < limit)


def check_window(seconds: Any, steps: Any) -> None:
    """Refuse what is no window: ``seconds`` and ``steps`` are an end, or a start and an end."""
    if seconds is not None and steps is not None:
        raise ValueError("timeline takes seconds or steps, not both: drop one.")
    for name, value in (("seconds", seconds), ("steps", steps)):
        if value is None:
            continue
        start, end = _pair(value)
        kind = numbers.Integral if name == "steps" else numbers.Real
        fits = isinstance(start, kind) and isinstance(end, kind)
        if not fits or not 0 <= start < end:
            example = "10 or (20, 30)" if name == "steps" else "0.1 or (0.2, 0.3)"
            raise ValueError(
                f"timeline({name}={value!r}): give an end, or a start and a later end, as in {example}."
            )


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, Sequence) and len(value) == 2:
        return value[0], value[1]
    return 0, value


def window_of(history: History, crowded: bool, seconds: Any, steps: Any) -> Window:
    """The window asked for; where none is, all, or of a ``crowded`` run the first steps."""
    if seconds is not None:
        start, end = _pair(seconds)
        return Window(float(start), float(end), f"from {start:g} to {end:g} s")
    marks = [time_s for time_s, *_ in history.about.get("marks", ())]  # a kill takes the last records along
    whole = Window(0.0, max([history.elapsed_s, *marks]) or 1e-6)
    if steps is None and not crowded:
        return whole
    ends = step_ends(history)
    if steps is None and len(ends) <= FIRST_STEPS:
        return whole
    start, end = _pair(FIRST_STEPS if steps is None else steps)
    if start >= len(ends):
        raise ValueError(f"timeline(steps={steps!r}): this history has {counted(len(ends), 'step')}.")
    end = min(end, len(ends))
    several = f"steps {start} to {end - 1}" if end - start > 1 else f"step {start}"
    which = several if start else f"first {end}"
    return Window(
        ends[start - 1] if start else 0.0, ends[end - 1], f"{which} of {counted(len(ends), 'step')}"
    )


def step_ends(history: History) -> list[float]:
    """By step: when the last rank recorded it."""
    tables = [rows for recorder in history.recorders for rows in recorder.row_arrays().values()]
    if not tables:
        return []
    step = np.concatenate([rows["step"] for rows in tables])
    ends = np.zeros(int(step.max()) + 1)
    np.maximum.at(ends, step, np.concatenate([rows["time_s"] for rows in tables]))
    return np.maximum.accumulate(ends).tolist()
