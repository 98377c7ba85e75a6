"""How long a step lasts that waits for the first of several random workers."""

from __future__ import annotations

import math

from ..helpers import Answer
from ..machine import Exercise
from ..mistakes import check_number


def _step_seconds(workers: int, backups: int, mean_s: float) -> float:
    at_work = range(backups + 1, workers + 1)  # how many still compute while one is waited for
    return mean_s * sum(1 / left for left in at_work)


def _check_wait(answer: Answer) -> str:
    for workers, backups, mean_s in ((8, 0, 1.0), (1, 0, 2.0), (100, 4, 0.5), (5, 4, 3.0)):
        case = f"{workers} workers, {backups} backups, mean {mean_s} s: the step"
        right = _step_seconds(workers, backups, mean_s)
        waited = workers - backups
        check_number(
            answer(workers, backups, mean_s), right, case,
            ("that waits for all of them, backups too", _step_seconds(workers, 0, mean_s)),
            (f"that waits for all of {waited}; the first {waited} of {workers} are sooner there",
             _step_seconds(waited, 0, mean_s)),
            ("that is the mean time of one worker; the last of several takes longer", mean_s),
            ("that is when the first worker is done", mean_s / workers),
            ("the mean time of a worker is missing: multiply by mean_s", right / mean_s),
            ("divided by mean_s: a longer mean makes a longer step", right / mean_s**2),
            ("the sum stops one term too early: with none to spare it goes down to 1",
             right - mean_s / (backups + 1)),
            ("the sum has one term too many at its lower end", right + mean_s / max(backups, 1)),
            ("ln n is only near 1 + 1/2 + … + 1/n for many workers: add the terms up",
             mean_s * math.log(workers / max(backups, 1))),
        )  # fmt: skip
    return "all of 8, one worker, the first 96 of 100, and the first of 5"


wait = Exercise(
    key="05.wait",
    title="How long a step lasts",
    difficulty=2,
    minutes=8,
    reference=_step_seconds,
    check=_check_wait,
    hints=(
        "While n are at work, the next of them is done after mean_s / n.",
        "Add that up from `workers` at work down to the last one that is waited for.",
        "When that one is still at work, so are the backups: backups + 1 workers.",
    ),
)
