"""Lab 08, pipelines: the bubble, two schedules, what they keep; see lab_08_plans.py for the other two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..strategies import schedules
from ..strategies.playing import play
from .lab_08_plans import balance, deadlock
from .machine import Exercise, Wrong, call, close

__all__ = ["balance", "bubble", "deadlock", "gpipe", "in_flight", "one_f_one_b"]

SIZES = [(1, 1), (1, 4), (2, 1), (2, 4), (4, 8), (4, 2), (3, 5), (8, 8)]  # stages, micro-batches


# 08.bubble


def _bubble(stages, micros):  # type: ignore[no-untyped-def]
    return (stages - 1) / (micros + stages - 1)


def _check_bubble(answer: Callable[..., Any]) -> str:
    for stages, micros in [(4, 8), (2, 3), (8, 32), (1, 5), (5, 1)]:
        got, right = call(answer, stages, micros), _bubble(stages, micros)
        words = f"{stages} stages, {micros} micro-batches: "
        likely = {
            (stages - 1)
            / micros: "that is the bubble over the time of the work; the total has the bubble in it",
            micros / (micros + stages - 1): "that is the share in which nodes compute; the rest was asked",
            stages / (micros + stages): "the first micro-batch passes stages − 1 others before the last one",
            (stages - 1) / stages: "that is a whole batch in one piece, whatever `micros` is",
        }
        for value, mistake in likely.items():
            if isinstance(got, int | float) and abs(got - value) < 1e-6 < abs(right - value):
                raise Wrong(words + mistake)
        close(got, right, f"{words}the bubble's share of the total")
    return "1 to 8 stages, 1 to 32 micro-batches"


bubble = Exercise(
    key="08.bubble",
    title="The bubble's share",
    difficulty=1,
    minutes=4,
    reference=_bubble,
    check=_check_bubble,
    hints=(
        "Count in slots: one slot is a forward or a backward of one micro-batch on one stage.",
        "Forward, the last stage begins after p − 1 slots and is busy for m. How many slots in all?",
        "Each node is busy in m of m + p − 1 slots, forward and backward alike.",
    ),
)


# orders


def _listed(answer: Callable[..., Any], stage: int, stages: int, micros: int) -> list[tuple[str, int]]:
    """What a learner's order returns, if it is one that has every forward and backward exactly once."""
    got = call(answer, stage, stages, micros)
    where = f"stage {stage} of {stages}, {micros} micro-batches"
    if not isinstance(got, list | tuple):
        raise Wrong(f"{where}: a list of pairs was asked, you returned {type(got).__name__}")
    for pair in got:
        if not isinstance(pair, tuple | list) or len(pair) != 2 or pair[0] not in ("forward", "backward"):
            raise Wrong(f'{where}: a step is a pair like ("forward", 0); you have {pair!r}')
    steps = [(kind, k) for kind, k in got]
    for kind in ("forward", "backward"):
        micro = [k for other, k in steps if other == kind]
        if sorted(micro) != list(range(micros)):
            more = ": the numbers begin with 0" if sorted(micro) == list(range(1, micros + 1)) else ""
            raise Wrong(
                f"{where}: {kind} comes for micro-batches {micro}; each of 0 to {micros - 1} once{more}"
            )
        if micro != sorted(micro):
            raise Wrong(
                f"{where}: {kind} in the order {micro}. It could be done, but sums are added in the order of "
                "the backwards: keep 0, 1, 2, … on every stage, and all schedules agree to the bit"
            )
    for k in range(micros):
        if steps.index(("backward", k)) < steps.index(("forward", k)):
            raise Wrong(f"{where}: backward of {k} stands before its forward, which makes what it needs")
    return steps


def _gpipe(stage, stages, micros):  # type: ignore[no-untyped-def]
    forwards = [("forward", k) for k in range(micros)]
    backwards = [("backward", k) for k in range(micros)]
    return forwards + backwards


def _check_gpipe(answer: Callable[..., Any]) -> str:
    for stages, micros in SIZES:
        for stage in range(stages):
            steps = _listed(answer, stage, stages, micros)
            early = [k for kind, k in steps[:micros] if kind == "backward"]
            if early:
                raise Wrong(
                    f"stage {stage} of {stages}: backward of {early[0]} comes before some forward; "
                    "in GPipe all forwards come first"
                )
    return "every stage of 1 to 8, 1 to 8 micro-batches"


gpipe = Exercise(
    key="08.gpipe",
    title="GPipe's order",
    difficulty=1,
    minutes=4,
    reference=_gpipe,
    check=_check_gpipe,
    hints=(
        "It is the same list on every stage: messages see to it that each waits for its input.",
        "All forwards, 0 to micros − 1; then all backwards, in the same order.",
        '`[("forward", k) for k in range(micros)]`, and the same once more.',
    ),
)


def _one_f_one_b(stage, stages, micros):  # type: ignore[no-untyped-def]
    ahead = min(stages - 1 - stage, micros)
    order = [("forward", k) for k in range(ahead)]
    for k in range(micros - ahead):
        order += [("forward", ahead + k), ("backward", k)]
    return order + [("backward", k) for k in range(micros - ahead, micros)]


def _flight(steps: list[tuple[str, int]]) -> int:
    most = now = 0
    for kind, _ in steps:
        now += 1 if kind == "forward" else -1
        most = max(most, now)
    return most


def _check_one_f_one_b(answer: Callable[..., Any]) -> str:
    for stages, micros in SIZES:
        orders = [_listed(answer, stage, stages, micros) for stage in range(stages)]
        for stage, steps in enumerate(orders):
            _check_flight(stage, stages, micros, _flight(steps))
        made = [[schedules.Step(kind, s, k) for kind, k in steps] for s, steps in enumerate(orders)]
        took = play(schedules.with_messages(made)).elapsed_s
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


# 08.in_flight


def _most_in_flight(order):  # type: ignore[no-untyped-def]
    most = now = 0
    for kind, _ in order:
        now += 1 if kind == "forward" else -1
        most = max(most, now)
    return most


def _check_in_flight(answer: Callable[..., Any]) -> str:
    for order in (schedules.one_f_one_b, schedules.gpipe):
        for stages, micros in [(4, 8), (2, 6), (3, 1), (1, 4)]:
            for stage in range(stages):
                steps = order(stage, stages, micros)
                got, right = call(answer, steps), _most_in_flight(steps)
                where = f"{order.__name__}, stage {stage} of {stages}, {micros} micro-batches: "
                if got == micros != right:
                    raise Wrong(f"{where}you count all forwards; a backward lets its micro-batch go")
                if got == 0:
                    raise Wrong(f"{where}0 is what is left at the end; the most on the way there was asked")
                if got == right - 1:
                    raise Wrong(
                        f"{where}{got}, and {right} was asked: look after the forward, before the backward"
                    )
                close(got, right, f"{where}the most in flight")
    return "GPipe and 1F1B, every stage"


in_flight = Exercise(
    key="08.in_flight",
    title="What is in flight",
    difficulty=1,
    minutes=5,
    reference=_most_in_flight,
    check=_check_in_flight,
    hints=(
        "A forward keeps one micro-batch's activations more, a backward one less.",
        "Go through the order with two numbers: how many now, and the most so far.",
    ),
)
