"""Rounding that is right on average."""

from __future__ import annotations

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call, same_shape
from ..machine import Exercise

TRIES = 2000


def _rounded(values, chance):  # type: ignore[no-untyped-def]
    below = values.floor()
    return below + (chance < values - below).float()  # up as often as it is far from below


def _check_chance(answer: Answer) -> str:
    values = torch.tensor([0.0, 0.25, 1.5, 2.9, -0.25, -1.6, 3.0, -2.0])
    grid = (torch.arange(TRIES) + 0.5) / TRIES  # every chance there is, evenly
    rows = []
    for chance in grid:
        got = call(answer, values, chance.expand_as(values).clone())
        same_shape(got, values, "what your function returns")
        _neighbours(got, values)
        rows.append(got.float())
    at_0 = call(answer, values, torch.zeros_like(values))  # torch.rand gives it, once in 16 million
    _neighbours(at_0, values, " at a chance of 0")
    table = torch.stack(rows)
    _right_on_average(table.mean(0), values)
    _each_by_its_own(answer, values, grid, table)
    return "positive, negative and whole numbers: neighbours always, right on average"


def _each_by_its_own(answer: Answer, values: Tensor, grid: Tensor, table: Tensor) -> None:
    """With chances that differ, each value becomes what it became where all had that chance."""
    entries = torch.arange(len(values))
    for turn in range(8):
        places = (entries * 1237 + turn * 251) % TRIES
        got = call(answer, values, grid[places])
        for entry, (level, place) in enumerate(zip(got.tolist(), places.tolist(), strict=True)):
            if level != table[place, entry]:
                raise Wrong(
                    f"{values[entry]:g} becomes {level:g} at a chance of {grid[place]:.3g}, and "
                    f"{table[place, entry]:g} where all entries have that chance: each is rounded by its own"
                )


def _neighbours(got: Tensor, values: Tensor, at: str = "") -> None:
    for level, value in zip(got.tolist(), values.tolist(), strict=True):
        if level != round(level):
            raise Wrong(f"{value:g} becomes {level:g}{at}: a whole number was asked")
        if value == round(value) and level != value:
            below = "; below zero, floor goes down, int() and trunc go towards zero" * (value < 0)
            raise Wrong(f"{value:g} becomes {level:g}{at}: a whole number stays as it is{below}")
        if abs(level - value) >= 1:
            raise Wrong(f"{value:g} becomes {level:g}{at}: one of its two neighbours was asked")


def _right_on_average(mean: Tensor, values: Tensor) -> None:
    off = mean - values
    if float(off.abs().max()) < 2e-3:
        return
    worst = int(off.abs().argmax())
    told = f"{values[worst]:g} is {mean[worst]:.3g} on average with you"
    for words, wrong in (
        ("you always round to the nearest: use the chance", values.round()),
        ("you always round down: use the chance", values.floor()),
        ("you always round up: use the chance", values.ceil()),
        ("you always cut the fraction off: use the chance", values.trunc()),
        ("up and down are equally likely with you: up as often as it is far from the one below",
         torch.where(values == values.round(), values, values.floor() + 0.5)),
        ("up and down are the wrong way round: 2.9 should become 3 more often than 2",
         values.ceil() - (values - values.floor())),
    ):  # fmt: skip
        if torch.allclose(mean, wrong, atol=2e-3):
            raise Wrong(f"{told}: {words}")
    raise Wrong(f"{told}: it should be {values[worst]:g}")


chance = Exercise(
    key="11.chance",
    title="Rounding that is right on average",
    difficulty=2,
    minutes=6,
    reference=_rounded,
    check=_check_chance,
    hints=(
        "2.25 becomes 3 in a quarter of all cases, and 2 in the others.",
        "The fraction above the neighbour below, values − values.floor(), is how often it goes up.",
        "A chance is below 0.25 in a quarter of all cases: `chance < fraction`.",
    ),
)
