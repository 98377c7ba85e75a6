"""How long a step lasts that waits for the first of several random workers."""

from __future__ import annotations

import math

from ..helpers import Answer, Wrong, close
from ..machine import Exercise


def _step_seconds(workers: int, backups: int, mean_s: float) -> float:
    at_work = range(backups + 1, workers + 1)  # how many still compute while one is waited for
    return mean_s * sum(1 / left for left in at_work)


def _check_wait(answer: Answer) -> str:
    for workers, backups, mean_s in ((1, 0, 2.0), (8, 0, 1.0), (100, 4, 0.5), (5, 4, 3.0)):
        case = f"{workers} workers, {backups} backups, mean {mean_s} s: the step"
        got = answer(workers, backups, mean_s)
        right = _step_seconds(workers, backups, mean_s)
        if isinstance(got, int | float):
            whole = [_step_seconds(n, 0, mean_s) for n in (workers, workers - backups)]
            known = {
                "that waits for all of them, backups too": whole[0],
                f"that waits for all of {workers - backups}; the first {workers - backups} of {workers} "
                "are sooner there": whole[1],
                "that is the mean time of one worker; the last of several takes longer": mean_s,
                "that is when the first worker is done": mean_s / workers,
                "the mean time of a worker is missing: multiply by mean_s": right / mean_s,
                "divided by mean_s: a longer mean makes a longer step": right / mean_s**2,
                "the sum stops one term too early: with none to spare it goes down to 1": right
                - mean_s / (backups + 1),
                "the sum has one term too many at its lower end": right + mean_s / max(backups, 1),
            }
            for words, wrong in known.items():
                if math.isclose(got, wrong, rel_tol=1e-6) and not math.isclose(got, right, rel_tol=1e-6):
                    raise Wrong(f"{case} is {got:.4g} s: {words}")
        close(got, right, case)
    return "one worker, all of 8, the first 96 of 100, and the first of 5"


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
