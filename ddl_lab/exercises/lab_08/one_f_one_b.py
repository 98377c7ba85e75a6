"""One forward, one backward: a warm-up, then in turns."""

from __future__ import annotations

from ...strategies import schedules
from ...strategies.playing import play
from ..helpers import Answer, Wrong
from ..machine import Exercise
from .shared import SIZES, listed


def _one_f_one_b(stage, stages, micros):  # type: ignore[no-untyped-def]
    ahead = min(stages - 1 - stage, micros)
    order = [("forward", k) for k in range(ahead)]
    for k in range(micros - ahead):
        order += [("forward", ahead + k), ("backward", k)]
    return order + [("backward", k) for k in range(micros - ahead, micros)]


def _check_one_f_one_b(answer: Answer) -> str:
    for stages, micros in SIZES:
        orders = [listed(answer, stage, stages, micros) for stage in range(stages)]
        made = [[schedules.Step(kind, s, k) for kind, k in steps] for s, steps in enumerate(orders)]
        for stage, steps in enumerate(made):
            _check_flight(stage, stages, micros, int(schedules.in_flight(steps)))
        try:
            took = play(schedules.with_messages(made)).elapsed_s
        except schedules.ScheduleError as error:
            raise Wrong(
                f"{stages} stages, {micros} micro-batches: after the warm-up, alternate; {error}"
            ) from None
        if took > 3 * (micros + stages - 1) + 1e-9:
            raise Wrong(
                f"{stages} stages, {micros} micro-batches: it takes {took:g} where GPipe takes "
                f"{3 * (micros + stages - 1)} (forward 1, backward 2): after the warm-up, alternate"
            )
    return "every stage of 1 to 8: the time of GPipe, min(p − stage, m) micro-batches in flight"


def _check_flight(stage: int, stages: int, micros: int, flight: int) -> None:
    right = min(stages - stage, micros)
    if flight == right:
        return
    where = f"stage {stage} of {stages}, {micros} micro-batches: {flight} are in flight where {right} suffice"
    if flight == micros:
        raise Wrong(f"{where}: all forwards come before the first backward, as in GPipe")
    if flight == 1:
        raise Wrong(
            f"{where} and keep everybody busy: without a warm-up, each waits for the whole way there and back"
        )
    if flight == right + 1:
        raise Wrong(f"{where}: one forward too many in the warm-up; the last stage needs none")
    raise Wrong(f"{where}: the warm-up has one forward for each stage that comes later")


one_f_one_b = Exercise(
    key="08.one_f_one_b",
    title="One forward, one backward",
    difficulty=2,
    minutes=10,
    reference=_one_f_one_b,
    check=_check_one_f_one_b,
    hints=(
        "The last stage is the simplest: it can go backward with 0 as soon as it was forward with it.",
        "A stage before it has one forward more at the beginning, for what is on the way; and so on.",
        "Warm-up: stages − 1 − stage forwards, but no more than there are. Then forward, backward, in turns.",
        "At the end, the backwards that are left. With ahead = 3: F0 F1 F2 · F3 B0 F4 B1 … · B5 B6 B7.",
    ),
)
