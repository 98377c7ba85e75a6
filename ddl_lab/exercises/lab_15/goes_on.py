"""Who goes on: the promotion of asynchronous halving."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from typing import Any

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import whole

CASES: tuple[tuple[dict[int, float], set[int], int], ...] = (
    ({0: 0.6, 1: 0.7}, set(), 3),  # a third of two is nobody
    ({0: 0.6, 1: 0.7, 2: 0.5}, set(), 3),
    ({0: 0.6, 1: 0.7, 2: 0.5}, {1}, 3),  # the best is gone, and the second isn't of the best third
    ({0: 0.6, 1: 0.7, 2: 0.5, 3: 0.9, 4: 0.2}, {1}, 3),  # a better one has come since
    ({0: 0.6, 1: 0.7, 2: 0.5, 3: 0.9, 4: 0.2, 5: 0.65}, {3}, 3),  # two of six
    ({0: 0.6, 1: 0.7, 2: 0.5, 3: 0.9, 4: 0.2, 5: 0.65}, {1, 3}, 3),
    ({8: 0.91, 2: 0.85, 7: 0.88, 5: 0.4}, set(), 2),
    ({}, set(), 3),
    ({4: 0.9}, set(), 3),
    ({0: 0.6, 1: 0.7, 2: 0.5, 3: 0.9}, {3}, 3),
    ({3: 0.6, 0: 0.8, 2: 0.5}, set(), 3),  # trial 0 is a trial
    ({4: -0.3, 1: -0.1, 6: -0.7}, set(), 3),  # a loss with its sign turned is a score
    ({8: 0.91, 2: 0.85, 7: 0.88, 5: 0.4}, {8}, 2),  # a half of four, where a third would be one
)


def _goes_on(heard, gone, eta):  # type: ignore[no-untyped-def]
    best = sorted(heard, key=heard.get, reverse=True)[: len(heard) // eta]
    for trial in best:
        if trial not in gone:
            return trial
    return None


def _chosen(
    heard: Mapping[int, float],
    gone: Set[int],
    eta: int,
    *,
    share: Callable[[float], int] = math.floor,
    among: str = "all",
    sign: int = -1,
    last: bool = False,
) -> int | None:
    """The course's answer with one of its rules changed."""
    left = [trial for trial in heard if trial not in gone]
    pool = left if among == "left" else list(heard)
    best = sorted(pool, key=lambda trial: sign * heard[trial])[: share(len(pool) / eta)]
    ready = best if among == "gone too" else [trial for trial in best if trial not in gone]
    return (ready[-1] if last else ready[0]) if ready else None


MISTAKES: dict[str, dict[str, Any]] = {
    "the lowest scores go on with you: higher is better": {"sign": 1},
    "who is gone is promoted again": {"among": "gone too"},
    "the best third is of all that were heard, those that are gone included; of those that are left it lets "
    "more and more of the weak go on": {"among": "left"},
    "rounded up, the very first one goes on, whatever it is worth: len(heard) // eta": {"share": math.ceil},
    "you round to the nearest: a third of two is nobody, len(heard) // eta": {
        "share": lambda part: math.floor(part + 0.5)
    },
    "of those that may, the worst goes first with you: the best one was asked": {"last": True},
    "one goes on at least, with you, and there needn't be any": {"share": lambda part: max(1, int(part))},
    "anyone who is left goes on with you: of the best 1/eta only": {"share": lambda part: 10**6},
}


def _check_goes_on(answer: Answer) -> str:
    found = [_trial(call(answer, dict(heard), set(gone), eta), heard) for heard, gone, eta in CASES]
    asked = [_goes_on(*case) for case in CASES]
    if found == asked:
        return "rungs of none to six trials, some of them gone on before"
    for words, rule in MISTAKES.items():
        if found == [_chosen(*case, **rule) for case in CASES]:
            raise Wrong(words)
    place = next(place for place, trial in enumerate(found) if trial != asked[place])
    heard, gone, eta = CASES[place]
    raise Wrong(
        f"heard = {heard}, gone = {gone or '{}'}, eta = {eta}: you say {found[place]}, and {asked[place]} "
        "was asked"
    )


def _trial(got: object, heard: Mapping[int, float]) -> int | None:
    if got is None:
        return None
    trial = whole(got, "your trial")
    if trial not in heard:
        raise Wrong(
            f"you return {trial}, which is no trial in {dict(heard)}: return the trial, not its place or "
            "its score"
        )
    return trial


goes_on = Exercise(
    key="15.goes_on",
    title="Who goes on",
    difficulty=2,
    minutes=8,
    reference=_goes_on,
    check=_check_goes_on,
    hints=(
        "How many may go on of those that were heard so far: len(heard) // eta, so at first nobody.",
        "`sorted(heard, key=heard.get, reverse=True)` has the best first; cut it after so many.",
        "Of those the first that isn't in gone; None where there is none.",
    ),
)
