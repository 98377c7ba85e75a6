"""The variance of the mean of a batch, drawn with and without replacement."""

from __future__ import annotations

import math

from ..helpers import Answer, call, close
from ..machine import Exercise
from ..mistakes import check_number


def _noise(sigma2: float, batch: int, samples: int, replacement: bool) -> float:
    variance = sigma2 / batch
    if not replacement:
        variance *= (samples - batch) / (samples - 1)
    return variance


def _check_noise(answer: Answer) -> str:
    for sigma2, batch, samples in ((4.8, 64, 4000), (2.0, 10, 40), (3.0, 1, 50)):
        case, plain = f"σ² = {sigma2}, {batch} of {samples} samples", sigma2 / batch
        check_number(
            call(answer, sigma2, batch, samples, True), plain, f"{case}, with replacement: the variance",
            ("that is the standard deviation; its square, the variance, was asked", math.sqrt(plain)),
            (f"one sample varies so much; the mean of {batch} varies less", sigma2),
            ("that is the variance of the sum of a batch; its mean was asked", sigma2 * batch),
            ("divide by the batch, not by all samples", sigma2 / samples),
            ("that is the variance without replacement", _noise(sigma2, batch, samples, False)),
        )  # fmt: skip
        check_number(
            call(answer, sigma2, batch, samples, False), _noise(sigma2, batch, samples, False),
            f"{case}, without replacement: the variance",
            (f"the same with and without replacement; what if the batch were all {samples}?", plain),
            ("a batch of 1 must keep all of σ²: divide by samples - 1, not by samples",
             plain * (1 - batch / samples)),
            ("the share of the samples that are left comes in once: the variance, not its root",
             plain * math.sqrt((samples - batch) / (samples - 1))),
        )  # fmt: skip
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
