"""Seconds of both servers, the synchronous and the asynchronous one."""

from __future__ import annotations

import math

from ..helpers import Answer, Wrong
from ..machine import Exercise


def _race(workers, mean_s, rounds, updates):  # type: ignore[no-untyped-def]
    harmonic = sum(1 / k for k in range(1, workers + 1))
    synchronous_s = rounds * harmonic * mean_s
    asynchronous_s = updates * mean_s / workers
    return synchronous_s, asynchronous_s


def _check_winner(answer: Answer) -> str:
    for workers, mean_s, rounds, updates in ((8, 0.2, 100, 800), (1, 1.0, 10, 10), (4, 0.5, 60, 900)):
        try:
            got = tuple(float(value) for value in answer(workers, mean_s, rounds, updates))
            first_s, second_s = got
        except (TypeError, ValueError):
            raise Wrong("return two numbers: the synchronous server's seconds, then the other's") from None
        asked = _race(workers, mean_s, rounds, updates)
        told = f"{workers} workers, mean {mean_s:g} s, {rounds} rounds or {updates} gradients"
        wrong: dict[float, str] = {
            rounds * mean_s: "as if all took the mean; a round lasts as long as its slowest",
            rounds * mean_s * workers: "as if workers computed one after another",
            rounds * mean_s * math.log(workers):
                "ln n is only near H_n for many workers: add up 1 + 1/2 + … + 1/n",
            asked[0] / workers: "that is for each gradient; a round has one of each worker",
            asked[0] * workers: "a round is one step: its gradients are computed side by side",
        }  # fmt: skip
        _check_seconds(first_s, asked[0], f"{told}: the synchronous server", wrong)
        wrong = {
            updates * mean_s: "as if one worker did it all; n of them are at it at any time",
            updates * asked[0] / rounds / workers: "nobody waits for the slowest here",
        }
        _check_seconds(second_s, asked[1], f"{told}: the asynchronous server", wrong)
    return "1, 4 and 8 workers with exponential times"


def _check_seconds(got: float, asked: float, told: str, wrong: dict[float, str]) -> None:
    if math.isclose(got, asked, rel_tol=1e-6):
        return
    for value, words in wrong.items():
        if math.isclose(got, value, rel_tol=1e-6):
            raise Wrong(f"{told} takes {got:.4g} s with you, and {asked:.4g} s was asked: {words}")
    raise Wrong(f"{told} takes {got:.4g} s with you, and {asked:.4g} s was asked")


winner = Exercise(
    key="07.winner",
    title="Seconds of both servers",
    difficulty=2,
    minutes=8,
    reference=_race,
    check=_check_winner,
    hints=(
        "Lab 05: the longest of n exponential times of mean m has mean m · H_n.",
        "Synchronous: every round lasts as long as its slowest worker, m · H_n.",
        "Asynchronous: each worker hands in a gradient every m seconds, so n of them come in m seconds.",
    ),
)
