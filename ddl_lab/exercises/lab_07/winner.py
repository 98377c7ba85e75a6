"""Seconds of both servers, the synchronous and the asynchronous one."""

from __future__ import annotations

import math

from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..mistakes import check_number
from ..values import items, number


def _race(workers, mean_s, rounds, updates):  # type: ignore[no-untyped-def]
    harmonic = sum(1 / k for k in range(1, workers + 1))
    synchronous_s = rounds * harmonic * mean_s
    asynchronous_s = updates * mean_s / workers
    return synchronous_s, asynchronous_s


def _check_winner(answer: Answer) -> str:
    for workers, mean_s, rounds, updates in ((8, 0.2, 100, 800), (1, 1.0, 10, 10), (4, 0.5, 60, 903)):
        got = items(answer(workers, mean_s, rounds, updates), "your pair")
        if len(got) != 2:
            raise Wrong("return two numbers: the synchronous server's seconds, then the other's")
        asked = _race(workers, mean_s, rounds, updates)
        told = f"{workers} workers, mean {mean_s:g} s, {rounds} rounds or {updates} gradients"
        turned = [number(took_s, f"{told}: a time") for took_s in got[::-1]]
        if workers > 1 and all(map(math.isclose, turned, asked)):
            raise Wrong(f"{told}: you have them the other way round, the synchronous server's come first")
        harmonic = asked[0] / rounds / mean_s
        check_number(
            got[0], asked[0], f"{told}: the synchronous server's time",
            ("as if all took the mean; a round lasts as long as its slowest", rounds * mean_s),
            ("as if workers computed one after another", rounds * mean_s * workers),
            ("ln n is only near H_n for many workers: add up 1 + 1/2 + … + 1/n",
             rounds * mean_s * math.log(workers)),
            ("that is for each gradient; a round has one of each worker", asked[0] / workers),
            ("a round is one step: its gradients are computed side by side", asked[0] * workers),
        )  # fmt: skip
        check_number(
            got[1], asked[1], f"{told}: the asynchronous server's time",
            ("as if one worker did it all; n of them are at it at any time", updates * mean_s),
            ("nobody waits for the slowest here", updates * mean_s * harmonic / workers),
            ("that is for rounds; so many gradients were asked", rounds * mean_s / workers),
        )  # fmt: skip
    return "1, 4 and 8 workers with exponential times"


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
