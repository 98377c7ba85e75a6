"""Lab 05's two exercises on numbers alone: the learning rate of a warm-up, and how long a step lasts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .machine import Exercise, Wrong, close

Answer = Callable[..., Any]

# 05.warm


def _learning_rate(step: int, k: float, eta: float, over: int) -> float:
    if step >= over:
        return k * eta
    return eta + (k * eta - eta) * step / over


def _check_warm(answer: Answer) -> str:
    for k, eta, over in ((8, 0.1, 20), (4, 0.05, 10), (3, 0.2, 0), (1, 0.1, 5)):
        for step in (0, 1, over // 2, max(over - 1, 0), over, over + 1, 3 * over + 7):
            case = f"k = {k}, eta = {eta}, over = {over}: the rate of step {step}"
            try:
                got = answer(step, k, eta, over)
            except ZeroDivisionError:
                raise Wrong(f"{case} divides by over = 0: without a warm-up it is k * eta at once") from None
            if isinstance(got, int | float):
                _name_rate(float(got), case, step, k, eta, over)
            close(got, _learning_rate(step, k, eta, over), case)
    return "before, at and after the end of the warm-up, without one, and k = 1"


def _name_rate(got: float, case: str, step: int, k: float, eta: float, over: int) -> None:
    share = step / over if over else 1.0
    right = _learning_rate(step, k, eta, over)
    known = {
        "it begins at eta, not at 0": k * eta * share,
        "it goes on growing after the warm-up: from step `over` on it is k * eta":
            eta * (1 + (k - 1) * share),
        "eta is for the batch of one node; k times the batch goes k times as far": eta,
        "it is k * eta at once: where is the warm-up?": k * eta,
        "it ends at (k + 1) * eta: from eta to k * eta it grows by (k - 1) * eta":
            eta * (1 + k * min(share, 1)),
        "it reaches k * eta one step late: at step `over` it is there":
            eta * (1 + (k - 1) * step / (over + 1)),
        "it is one step early: step 0 has eta": eta * (1 + (k - 1) * min(1, share + 1 / max(over, 1))),
    }  # fmt: skip
    for words, wrong in known.items():
        if math.isclose(got, wrong, rel_tol=1e-6) and not math.isclose(got, right, rel_tol=1e-6):
            raise Wrong(f"{case} is {got:.4g}: {words}")


warm = Exercise(
    key="05.warm",
    title="A warm-up",
    difficulty=1,
    minutes=5,
    reference=_learning_rate,
    check=_check_warm,
    hints=(
        "From step `over` on it is k * eta. Deal with that first, and over = 0 never divides.",
        "Before, a share step / over of the way from eta to k * eta is behind you.",
    ),
)


# 05.wait


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
