"""The board: the learner's own tries, kept in the learner's own file, and drawn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ...learner.file import current
from .score import Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECTION = "tries"
_KEPT = ("name", "seed", "failures", "nodes", "seconds", "money", "held_out", "reached", "confirmed")


def note(score: Score) -> None:
    """Write a try down; the same source under the same name takes the place of its last one."""
    values: dict[str, Any] = {name: getattr(score, name) for name in _KEPT}
    current().note(
        SECTION, f"{score.seed}.{score.failures:d}.{score.name}.{score.digest}", **values, at=time.time()
    )


def drawn(seed: int, failures: bool) -> Figure | None:
    """Draw the tries of this contest; None, and a word, where there is none yet."""
    from ...plots.labs.contest import tries

    known = current().read().get(SECTION, {}).values()
    mine = [
        one for one in known if one.get("seed") == seed and one.get("failures") == failures and _whole(one)
    ]
    if not mine:
        print("No try of this contest yet: task.score(worker) writes one down.")
        return None
    return tries(sorted(mine, key=lambda one: one["at"]), _headline(mine, seed, failures))


def _whole(known: dict[str, Any]) -> bool:
    """Whether a note has what is drawn: somebody may have written in the file."""
    numbers = [known.get(name) for name in ("seconds", "money", "at")]
    fit = all(isinstance(n, int | float) and not isinstance(n, bool) and 0 < n < 1e12 for n in numbers)
    return fit and isinstance(known.get("name"), str)


def _headline(mine: list[dict[str, Any]], seed: int, failures: bool) -> str:
    where = f"Contest {seed}{', with failures' if failures else ''}"
    there = [one for one in mine if one.get("reached")]
    if not there:
        return f"{where}: no try has reached the target yet"
    fast, cheap = (min(there, key=lambda one: one[by]) for by in ("seconds", "money"))
    if fast is cheap:
        return f"{where}: {fast['name']} is the fastest and the cheapest"
    return (
        f"{where}: {fast['name']} is the fastest ({fast['seconds']:.3g} s), {cheap['name']} the cheapest "
        f"({100 * cheap['money']:.3g} cents)"
    )
