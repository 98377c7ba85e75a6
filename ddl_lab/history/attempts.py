"""``Attempt``: one of those that a run took which went on after failures."""

from __future__ import annotations

from typing import NamedTuple


class Attempt(NamedTuple):
    """One attempt of a run that goes on after failures."""

    nodes: int
    rank: int | None
    """The rank that was killed; None: it finished."""
    at_s: float
    """When it ended, on the time axis of all attempts."""
