"""The smallest batch with which a server keeps up."""

from __future__ import annotations

import math
from fractions import Fraction

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import number, whole

CASES = (
    (5600.0, 1e-3, 1e-4),  # 5.6 / 0.44: 13
    (6000.0, 1e-3, 1e-4),  # 6 / 0.4 is 15, and rounding may leave it at 16
    (150.0, 5e-3, 5e-4),  # one at a time would do
    (700.0, 4e-3, 1.2e-3),
    (900.0, 4e-3, 1.2e-3),  # 1.08 s of work come in a second
    (9000.0, 2e-3, 0.0),
    (1000.0, 5e-3, 3e-4),  # 7.14: 8, and not 7, which is nearer
    (1024.0, 2**-7, 2**-11),  # 16 to the last bit: no rounding leaves it at 17
    (2000.0, 4.03e-3, 4.89e-4),  # 367: not to be found among the first few
    (300.0, 0.0, 2e-3),  # a pass that costs nothing by itself: 1 is the least
    (1000.0, 1e-3, 1e-3),  # the second is full with b alone, and a comes on top
)


def _smallest_batch(rate, a, b):  # type: ignore[no-untyped-def]
    if b * rate >= 1:
        return None  # even without a, a second's requests take more than a second
    return max(1, math.ceil(a * rate / (1 - b * rate) - 1e-9))


def _check_keeps_up(answer: Answer) -> str:
    for rate, a, b in CASES:
        got, asked = call(answer, rate, a, b), _smallest_batch(rate, a, b)
        told = f"{rate:g} requests a second, a = {a:g}, b = {b:g}"
        if asked is None:
            if got is not None:
                raise Wrong(
                    f"{told}: your batch is {number(got, told):g}, but a second's requests take "
                    f"{b * rate:.3g} s without a already, so no batch is enough: return None there"
                )
            continue
        if got is None:
            raise Wrong(f"{told}: you return None, but a batch of {asked} keeps up")
        _judge(got, asked, (rate, a, b), told)
    return "easy, hard and hopeless rates, those on the edge, passes without a or without b"


def _judge(got: object, asked: int, case: tuple[float, float, float], told: str) -> None:
    rate, a, b = case
    size = number(got, f"{told}: your batch")
    if size != round(size):
        raise Wrong(f"{told}: your batch is {size:.4g}: a batch has a whole number of requests, rounded up")
    size = whole(int(size), told)
    if size < 1:
        raise Wrong(f"{told}: your batch is {size}: it holds a request at least")
    exact = Fraction(a) * Fraction(rate) / (1 - Fraction(b) * Fraction(rate))  # of the floats as they are
    rounded = exact.denominator > 1 and abs(asked / (a + b * asked) - rate) < 1e-6 * rate
    if size == asked or (size == asked + 1 and rounded):
        return
    for words, wrong in (
        ("you forgot b: a larger batch takes longer as well", math.ceil(a * rate)),
        ("those come in while a pass of one runs; a larger batch takes longer", math.ceil((a + b) * rate)),
        ("b of each is added to what there is to do, so it is 1 − b · rate below",
         math.ceil(a * rate / (1 + b * rate))),
    ):  # fmt: skip
        if size == max(1, wrong):
            raise Wrong(f"{told}: your batch is {size}, and {asked} was asked: {words}")
    answers = size / (a + b * size)
    if size < asked:
        raise Wrong(f"{told}: batches of {size} answer {answers:,.0f} a second, too few")
    raise Wrong(f"{told}: batches of {size} keep up, but so do smaller ones: {asked} is enough")


keeps_up = Exercise(
    key="15.keeps_up",
    title="The smallest batch that keeps up",
    difficulty=2,
    minutes=7,
    reference=_smallest_batch,
    check=_check_keeps_up,
    hints=(
        "Batches of n answer n / (a + b n) requests a second: when is that at least the rate?",
        "n ≥ rate · (a + b n), so n · (1 − b · rate) ≥ a · rate.",
        "Where b · rate is 1 or more no n will do; else it is a · rate / (1 − b · rate), rounded up.",
    ),
)
