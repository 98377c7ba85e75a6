"""What a field or an argument may hold: a refusal names it, the value, the range and the mend."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from .counted import counted


def check_number(name: str, value: Any, unit: str = "", least: float | None = None) -> None:
    """Raise ``ValueError`` for what is no finite number above 0, or from ``least`` up where that is given."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    fits = is_number and math.isfinite(value) and (value > 0 if least is None else value >= least)
    if not fits:
        bound = "above 0" if least is None else f"{least:g} or more"
        raise ValueError(f"{name}={value!r}: it takes a finite number {bound}{unit and ' ' + unit}.")


def check_count(name: str, value: Any, what: str) -> None:
    """Raise ``ValueError`` for what is no whole number from 1 up."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}: it takes a whole number from 1 up, {what}.")


def check_whole(call: str, name: str, value: Any, least: int, bits: int) -> None:
    """Raise ``TypeError`` for what is no whole number, ``ValueError`` outside ``least`` to 2**bits - 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{call}: {name} must be a whole number, got {value!r}")
    if not least <= value < 2**bits:
        raise ValueError(f"{call}: {name} must be from {least} to 2**{bits} - 1, got {value}")


def check_by_rank(name: str, value: Any, what: str, example: str) -> None:
    """Raise ``ValueError`` unless ``value`` is a mapping whose keys are whole numbers: ranks."""
    if not isinstance(value, Mapping) or not all(type(rank) is int for rank in value):
        raise ValueError(f"{name}={value!r}: it takes {what} by rank, as in {name}={example}.")


def check_ranks(name: str, value: Mapping[int, Any], nodes: int) -> None:
    """Raise ``ValueError`` where ``value`` names a rank that ``nodes`` nodes have not."""
    outside = [rank for rank in value if not 0 <= rank < nodes]
    if outside:
        raise ValueError(
            f"{name} names rank {outside[0]}: ranks of {counted(nodes, 'node')} are 0 to {nodes - 1}."
        )


def check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``known``."""
    if value not in known:
        raise ValueError(f"{name}={value!r}: choose one of {', '.join(known)}.")
