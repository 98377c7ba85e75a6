"""The variance of the mean of a batch, drawn with and without replacement."""

from __future__ import annotations

import math

from ..helpers import Answer, Wrong, call, close
from ..machine import Exercise
from ..mistakes import is_number


def _noise(sigma2: float, batch: int, samples: int, replacement: bool) -> float:
    variance = sigma2 / batch
    if not replacement:
        variance *= (samples - batch) / (samples - 1)
    return variance


def _check_noise(answer: Answer) -> str:
    for sigma2, batch, samples in ((4.8, 64, 4000), (2.0, 10, 40), (3.0, 1, 50)):
        case, plain = f"σ² = {sigma2}, {batch} of {samples} samples", sigma2 / batch
        got = call(answer, sigma2, batch, samples, True)
        if is_number(got, math.sqrt(plain)):
            raise Wrong(f"{case}: that is the standard deviation; its square, the variance, was asked")
        if is_number(got, sigma2) and batch > 1:
            raise Wrong(f"{case}: one sample varies so much; the mean of {batch} varies less")
        close(got, plain, f"with replacement, {case}: the variance")
        got = call(answer, sigma2, batch, samples, False)
        if is_number(got, plain) and batch > 1:
            raise Wrong(
                f"{case}: the same with and without replacement; what if the batch were all {samples}?"
            )
        if is_number(got, plain * (1 - batch / samples)):
            raise Wrong(f"{case}: a batch of 1 must keep all of σ²: divide by samples - 1, not by samples")
        close(got, _noise(sigma2, batch, samples, False), f"without replacement, {case}: the variance")
    close(call(answer, 3.0, 50, 50, False), 0.0, "the variance of a batch that is all the data")
    return "both ways of drawing, a batch of one, and a batch that is all the data"


noise = Exercise(
    key="03.noise",
    title="The variance of the mean",
    difficulty=1,
    minutes=4,
    reference=_noise,
    check=_check_noise,
    hints=(
        "The mean of B independent draws has a B-th of the variance of one.",
        "Without replacement it is (samples - batch) / (samples - 1) times that: 0 for all the data.",
    ),
)
