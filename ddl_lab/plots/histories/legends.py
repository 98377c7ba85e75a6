"""Legends beside the axes: names folded and letters small enough that nothing is cut off."""

from __future__ import annotations

from collections.abc import Iterable

MOST_LETTERS = 15  # of a line, in letters of the usual size
MOST_ROWS = 11


def folded(label: str) -> str:
    """``label``, on a line for each of its parts where it would not fit beside the axes."""
    return label.replace(", ", ",\n") if len(label) > MOST_LETTERS else label


def fitting(names: Iterable[str]) -> float:
    """The size of letters, in points, at which a legend of these names fits beside the axes."""
    rows = [row for name in names for row in name.split("\n")]
    widest = max(map(len, rows), default=1)
    return max(min(9.5, 9.5 * MOST_LETTERS / widest, 9.5 * MOST_ROWS / len(rows or [""])), 7.0)
