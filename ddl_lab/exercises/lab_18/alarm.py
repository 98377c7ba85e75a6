"""An alarm on a stream whose labels change, which noise can't set off."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import whole

STEPS, IN_TIME, FALSE_AT_MOST = 300, 25, 2
QUIET = ((0.95, 16), (0.7, 16), (0.9, 64), (0.6, 32))  # share right, and digits a step: 25 streams of each
FALLS = ((0.95, 0.7, 16), (0.9, 0.3, 16), (0.7, 0.45, 32), (0.85, 0.5, 64), (0.98, 0.5, 16), (0.9, 0.65, 64))


def _first_alarm(right, batch):  # type: ignore[no-untyped-def]
    for t in range(40, len(right)):
        recent, before = right[t - 9 : t + 1], right[max(0, t - 59) : t - 9]
        level = (sum(before) + 1) / (len(before) * batch + 2)  # never quite 1: then noise would be 0
        noise = (level * (1 - level) / (10 * batch)) ** 0.5  # of a share of 10 batches
        if sum(recent) / (10 * batch) < level - 5 * noise:
            return t
    return None


class _Stream(NamedTuple):
    """How many of ``batch`` digits were right at each step; the share changes at ``change``, if at all."""

    right: list[int]
    batch: int
    level: float
    fallen: float
    change: int = STEPS

    @property
    def told(self) -> str:
        if self.change == STEPS:
            return f"a stream at {self.level:g}, {self.batch} digits a step"
        return (
            f"a fall from {self.level:g} to {self.fallen:g} at step {self.change}, {self.batch} digits a step"
        )


class _Found(NamedTuple):
    stream: _Stream
    step: int  # of the alarm


@cache
def _streams() -> list[_Stream]:
    chance = np.random.RandomState(18)
    made = [_drawn(chance, level, level, batch, STEPS) for level, batch in QUIET for _ in range(25)]
    for level, fallen, batch in FALLS:
        made += [_drawn(chance, level, fallen, batch, change) for change in (100, 137, 181, 240)]
    return made


def _drawn(chance: np.random.RandomState, level: float, fallen: float, batch: int, change: int) -> _Stream:
    steps = np.arange(STEPS)
    shares = level - (level - 0.5) * np.exp(-steps / 8) * (steps < 50)  # the net still learns
    shares[change:] = fallen
    return _Stream(chance.binomial(batch, shares).tolist(), batch, level, fallen, change)


def _check_alarm(answer: Answer) -> str:
    heard = [_heard(answer, stream) for stream in _streams()]
    falls = [(s, t) for s, t in zip(_streams(), heard, strict=True) if s.change < STEPS]
    for stream, step in falls:
        _knows_no_more(answer, stream, step)
    false = [_Found(s, t) for s, t in zip(_streams(), heard, strict=True) if t is not None and t < s.change]
    if len(false) > FALSE_AT_MOST:
        _name_what_set_it_off(false, heard)
    if missed := [(s, t) for s, t in falls if t is None or t >= s.change + IN_TIME]:
        _name_what_was_missed(missed, len(falls))
    return (
        f"100 streams in which nothing changes, {len(falls)} falls, and each of these up to its alarm alone"
    )


def _knows_no_more(answer: Answer, stream: _Stream, step: int | None) -> None:
    """Raise ``Wrong`` unless the alarm comes at the same step where the stream ends with it."""
    if step is not None and (then := _heard(answer, stream, step + 1)) != step:
        raise Wrong(
            f"{stream.told}: on the whole stream your alarm comes at step {step}; on what was seen up to "
            f"it you return {then}. It knows of later steps, or tells when the fall began, not when it can "
            "be known"
        )


def _heard(answer: Answer, stream: _Stream, until: int = STEPS) -> int | None:
    got = call(answer, stream.right[:until], stream.batch)
    if got is None:
        return None
    step = whole(got, f"{stream.told}: your step")
    if not 0 <= step < until:
        raise Wrong(f"{stream.told}: you return {step}, and its steps are 0 to {until - 1}")
    return step


def _name_what_set_it_off(false: Sequence[_Found], heard: Sequence[int | None]) -> None:
    """Raise ``Wrong`` with what the steps of the false alarms have in common."""
    found = f"{len(false)} false alarms on {len(_streams())} streams"
    for words, sounds in RULES.items():
        if [sounds(stream) for stream in _streams()] == list(heard):
            raise Wrong(f"{found}: {words}")
    if bound := _fixed_bound(heard):
        raise Wrong(
            f"{found}: each sounds at the first share below {bound:.2g}, which is as usual where a net is "
            "right on 0.6 of all: compare with the stream's own level"
        )
    early = [alarm for alarm in false if alarm.step < 50]
    if len(early) >= 0.8 * len(false):
        raise Wrong(
            f"{found}, {len(early)} of them in the first 50 steps: there the net still learns. A rise is no "
            "fall, and a level of three steps isn't known yet"
        )
    small = [alarm for alarm in false if alarm.stream.batch < 64]
    if len(small) == len(false) and len(false) > 8:
        spread = " and ".join(f"{math.sqrt(0.09 / batch):.2g} of {batch}" for batch in (16, 64))
        more = f"; a share of 0.9 scatters by {spread}: √(p (1 − p) / batch)"
        raise Wrong(f"{found}, {len(small)} of them where a step has 16 or 32 digits, none at 64{more}")
    raise Wrong(f"{found}. {_how_rare(false[0])}")


def _how_rare(alarm: _Found) -> str:
    """How far the step of an alarm is off by chance."""
    stream, step = alarm
    share = stream.right[step] / stream.batch
    sigma = math.sqrt(stream.level * (1 - stream.level) / stream.batch)
    off = (stream.level - share) / sigma
    told = f"{stream.told}, step {step}: {stream.right[step]} right"
    if off < 0.5:
        return f"{told}, which is no less than usual"
    chance = math.erfc(off / math.sqrt(2)) / 2
    often = f"in {STEPS} steps about {STEPS * chance:.2g} are that low by chance"
    return (
        f"{told}, {off:.1f} σ = √(p (1 − p) / batch) below it; {often}: ask for more, or for several in a row"
    )


def _fixed_bound(heard: Sequence[int | None]) -> float | None:
    """A share so that each stream is heard at its first step below it; None where there is none."""
    low, high = 0.0, 1.0
    begin = min(step for step in heard if step is not None)  # it may wait until the net has learned
    for stream, step in zip(_streams(), heard, strict=True):
        shares = [right / stream.batch for right in stream.right]
        if step is not None:
            low = max(low, shares[step])
        high = min([high, *shares[begin:step]])
    return (low + high) / 2 if 0 < low < high else None


def _first(stream: _Stream, sounds: Callable[[int], bool]) -> int | None:
    return next((step for step in range(1, STEPS) if sounds(step)), None)


RULES: dict[str, Callable[[_Stream], int | None]] = {
    "it sounds at the first step that is worse than the one before, as every other step is": lambda s: _first(
        s, lambda t: s.right[t] < s.right[t - 1]
    ),
    "it sounds at the first step that is worse than the mean before, as every other step is": lambda s: (
        _first(s, lambda t: s.right[t] < sum(s.right[:t]) / t)
    ),
}


def _name_what_was_missed(missed: Sequence[tuple[_Stream, int | None]], falls: int) -> None:
    stream, step = missed[0]
    first = (
        "it doesn't sound" if step is None else f"it sounds at step {step}, {step - stream.change} steps on"
    )
    if len(missed) == falls and all(t is None for _, t in missed):
        raise Wrong("it is quiet where nothing changes, and where all labels change, too: it never sounds")
    by_a_quarter = sum(s.level - s.fallen < 0.26 for s, _ in missed)
    few_digits = sum(s.batch < 64 for s, _ in missed)
    more = ""
    if by_a_quarter > len(missed) / 2:
        more = f". {by_a_quarter} of them are by a quarter: the mean of several steps scatters less than one"
    elif few_digits == len(missed):
        more = ". It finds those with 64 digits a step: take steps together where one has few"
    told = stream.told[:1].upper() + stream.told[1:]
    raise Wrong(f"it misses {len(missed)} of {falls} falls. {told}: {first}{more}")


alarm = Exercise(
    key="18.alarm",
    title="An alarm that noise can't set off",
    difficulty=2,
    minutes=12,
    reference=_first_alarm,
    check=_check_alarm,
    hints=(
        "One step of 16 digits tells little: compare the mean of the last 10 with that of those before.",
        "A share p of n digits scatters by √(p (1 − p) / n). In 30,000 steps one is 4 of these below by "
        "chance: ask for 5.",
        "For t from 40 on: recent = right[t − 9 : t + 1], before = up to 50 steps ahead of them; the alarm "
        "comes where the share of recent is below that of before by 5 · √(p (1 − p) / (10 · batch)).",
    ),
)
