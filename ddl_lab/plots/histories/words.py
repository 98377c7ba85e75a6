"""How titles and axes name a run: who ran, and on which clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...history.history import History

CLOCKS = {"virtual": "virtual clock", "wall": "wall clock", "paced": "paced clock"}

# of metrics that the course records; a loss is a mean of natural logarithms
UNITS = {"loss": "nats", "staleness": "updates"}


MISSED = 0.1  # the share of a run by which its pace must be missed to be worth a word


def with_unit(metric: str) -> str:
    """A metric's name as an axis says it: "loss (nats)"."""
    return f"{metric} ({UNITS[metric]})" if metric in UNITS else metric


def clock_of(history: History) -> str:
    """The clock's name as plots say it: "wall clock"."""
    return CLOCKS.get(history.clock, f"{history.clock} clock")


def described(history: History) -> str:
    """Who ran, and on which clock: "4 simulated nodes, virtual clock"."""
    return f"{history.nodes} {_kind(history, history.nodes)}, {clock_of(history)}"


def described_together(runs: Sequence[History]) -> str:
    """One description of all runs, as exact as they have it in common."""
    words = {described(run) for run in runs}
    if len(words) == 1:
        return words.pop()
    kinds = {_kind(run, 2) for run in runs}
    if len(kinds) > 1:
        kinds = {kind.split(" over ")[0] for kind in kinds}
    return f"{' and '.join(sorted(kinds))}, {joined(clock_of(run) for run in runs)}"


def missed(runs: Sequence[History]) -> str:
    """What a title adds where this machine was too slow for the pace of a run; "" where it kept it.

    The seconds are those of the rank that missed most. What a pause took is no fault of the machine's.
    """
    worst_s = 0.0
    for run in runs:
        paused = any(word == "paused" for *_, word in run.about.get("marks", ()))
        most_s = 0.0 if paused or run.clock != "paced" else max(run.missed_s)
        if most_s > MISSED * run.elapsed_s:
            worst_s = max(worst_s, most_s)
    return f", missed by up to {worst_s:.2g} s" if worst_s else ""


def joined(names: Iterable[str]) -> str:
    """Each name once: "virtual clock and wall clock"."""
    return " and ".join(dict.fromkeys(names))


def _kind(history: History, nodes: int) -> str:
    if history.clock == "virtual":
        return "simulated node" if nodes == 1 else "simulated nodes"
    transport = history.about.get("transport")
    return ("process" if nodes == 1 else "processes") + (f" over {transport}" if transport else "")
