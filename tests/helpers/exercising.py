"""What tests of exercises are written with."""

from collections.abc import Callable
from typing import Any

from ddl_lab.exercises.machine import Exercise


def said(exercise: Exercise, function: Callable[..., Any]) -> tuple[str, str]:
    """(verdict, text): "right", "not yet" or "not tried yet", and what the check says beside it."""
    verdict = exercise.judge(function)
    return verdict.state, verdict.text
