"""A trimmed mean that survives nan."""

from __future__ import annotations

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call, same_shape
from ..machine import Exercise
from ..mistakes import compare


def _trimmed_mean(gradients, liars):  # type: ignore[no-untyped-def]
    ordered = gradients.sort(dim=0).values  # nan comes last
    return ordered[liars : len(gradients) - liars].mean(dim=0)


def _cases() -> list[tuple[str, Tensor, int]]:
    chance = torch.Generator().manual_seed(14)
    plain = torch.randn(9, 6, generator=chance) + torch.arange(6)
    shouting, sick, worst = plain.clone(), plain.clone(), plain.clone()
    shouting[2] *= -100
    sick[5] = torch.nan
    worst[0, :3], worst[4, 2:], worst[7] = torch.nan, torch.inf, -1e6
    return [
        ("nine honest rows", plain, 2),
        ("nine honest rows", plain, 0),
        ("one row times −100", shouting, 1),
        ("one row of nan", sick, 1),
        ("nan, inf and −1,000,000 in three rows", worst, 3),
        ("five rows", plain[:5] ** 3, 2),
    ]


def _check_trimmed(answer: Answer) -> str:
    for name, rows, liars in _cases():
        got = call(answer, rows, liars)
        told = f"{name}, liars = {liars}: your mean"
        right = _trimmed_mean(rows, liars)
        same_shape(got, right, told)
        if got.isnan().any() and rows.isnan().any():
            raise Wrong(f"{told} has nan in it: a nan counts as the largest number, and is left out as such")
        if not liars and got.isnan().all():
            raise Wrong(
                f"{told} is nan: nobody is left out, and [0:-0] is empty; up to n − liars, not −liars"
            )
        ordered, n = rows.nan_to_num(nan=torch.inf).sort(dim=0).values, len(rows)
        likely = (
            ("only the largest are left out: a liar can be the smallest, too", ordered[: n - liars].mean(0)),
            ("only the smallest are left out: a liar can be the largest, too", ordered[liars:].mean(0)),
            ("divide by the values that are left, n − 2 · liars, not by n", right * (n - 2 * liars) / n),
            ("divide by the values that are left, n − 2 · liars, not by n − liars",
             right * (n - 2 * liars) / (n - liars)),
            ("one is left out at each end, whatever liars says", ordered[1 : n - 1].mean(0)),
            ("that is the median: leave out liars at each end, and average all the rest",
             rows.sort(dim=0).values[n // 2]),
            ("the plain mean: nothing is left out", rows.mean(0)),
            ("nan became 0 first, which is among the honest values: it counts as largest",
             _trimmed_mean(rows.nan_to_num(nan=0.0), liars)),
            ("you leave out whole rows: each place has its own largest and smallest", _by_rows(rows, liars)),
        )  # fmt: skip
        compare(got, right, told, *((words, wrong) for words, wrong in likely if wrong.isfinite().all()))
    return "honest, shouting, nan and inf; 5 and 9 rows"


def _by_rows(rows: Tensor, liars: int) -> Tensor:
    """The mean without the rows that are longest and shortest."""
    order = rows.norm(dim=1).nan_to_num(nan=torch.inf).argsort()
    return rows[order[liars : len(rows) - liars]].mean(0)


trimmed = Exercise(
    key="14.trimmed",
    title="A mean that liars can't move",
    difficulty=2,
    minutes=6,
    reference=_trimmed_mean,
    check=_check_trimmed,
    hints=(
        "Sort each place's n values: dim=0 goes down the rows.",
        "`gradients.sort(dim=0).values` puts nan last, as if it were the largest.",
        "Of the sorted rows, those from liars to n − liars stay; their mean(dim=0).",
    ),
)
