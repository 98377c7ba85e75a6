"""Weights as whole numbers from -127 to 127: a scale for each row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..helpers import Answer, Wrong, call, same_shape
from ..machine import Exercise
from ..values import NO_RETURN


def _codes_of(weight):  # type: ignore[no-untyped-def]
    scales = weight.abs().amax(dim=1) / 127
    scales[scales == 0] = 1.0  # a row of zeros: any scale will do
    codes = (weight / scales[:, None]).round().to(torch.int8)
    return codes, scales


def _matrix() -> Tensor:
    """Rows of very different sizes, more columns than rows, and one row of zeros."""
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(7))
    weight *= torch.tensor([1.0, 0.01, 30.0, 0.0])[:, None]
    weight[0, 2] = -5.0  # the largest in size of its row is below zero
    return weight


def _check_codes(answer: Answer) -> str:
    for weight in (_matrix(), _matrix()[:3].flip(1)[:, :3]):
        got = call(answer, weight)
        if got is None:
            raise Wrong(f"your result {NO_RETURN}")
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Wrong("return two tensors: the codes, and the scales")
        _form(got[0], weight)
        _judge(got[0], _scales_of(got[1], weight), weight)
    return "rows of different sizes, one of zeros: within half a step of each row's own"


def _form(codes: Any, weight: Tensor) -> None:
    same_shape(codes, weight, "your codes")
    if codes.dtype != torch.int8:
        raise Wrong(f"your codes are {codes.dtype}: torch.int8 was asked, a byte each")


def _scales_of(got: Any, weight: Tensor) -> Tensor:
    """A scale a row, from a tensor, an array or a list; (rows, 1) will do."""
    if got is None:
        raise Wrong(f"your scales {NO_RETURN}")
    try:
        found = torch.as_tensor(got, dtype=torch.float64).flatten()
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"your scales are a {type(got).__name__}: one number a row was asked, (rows,)") from None
    rows, columns = weight.shape
    if len(found) == 1:
        raise Wrong("you have one scale for the whole matrix: a small row becomes zeros. One a row was asked")
    if len(found) == columns != rows:
        raise Wrong("you have one scale a column: the largest of each *row* was asked, dim=1")
    if len(found) != rows:
        raise Wrong(f"you have {len(found)} scales for {rows} rows: one a row was asked")
    return found


def _judge(codes: Tensor, scales: Tensor, weight: Tensor) -> None:
    if not torch.isfinite(scales).all():
        raise Wrong("a scale is no finite number: nothing may be divided by the zeros of an empty row")
    restored, largest = codes.double() * scales[:, None], weight.abs().amax(dim=1).double()
    empty = largest == 0
    if bool(codes[empty].any()):
        raise Wrong("a row of zeros has codes that aren't 0: 0 / 0 is no number. Give it a scale of 1")
    off = ((restored - weight).abs().amax(dim=1) / (largest / 127))[~empty]
    if bool((off > 100).any()):
        wraps = bool(((restored * weight)[~empty] < 0).any())
        raise Wrong(WRAPS if wraps else "codes times scales are far from the weights: w ≈ code · scale")
    if not bool((off < 0.51).all()):
        cut = (restored.abs() <= weight.abs() * (1 + 1e-6) + 1e-12).all()
        raise Wrong(
            CUTS if cut else f"you are off by {off.max():.2g} steps of a row, and half a step would do"
        )
    if bool((codes[~empty].abs().amax(dim=1) < 127).any()):
        raise Wrong("no code of a row reaches 127 in size: its scale is its largest entry / 127")
    if bool(((scales.abs() * 127 / largest)[~empty] - 1).abs().max() > 1e-3):
        raise Wrong(
            "a scale isn't its row's largest entry in size / 127, with which that one comes back as it was"
        )


WRAPS = (
    "a large weight comes back with the other sign: its code left int8, which ends at 127, and wrapped "
    "around. The scale is the row's largest entry *in size* / 127"
)
CUTS = "you cut the fraction off, .to(torch.int8) does so too: round() first, half a step is enough"


codes = Exercise(
    key="15.codes",
    title="Weights in a byte each",
    difficulty=2,
    minutes=7,
    reference=_codes_of,
    check=_check_codes,
    hints=(
        "The largest entry of a row, in size, becomes 127 or −127: that gives the row's scale.",
        "`weight.abs().amax(dim=1) / 127` are the scales; divide by `scales[:, None]`, and round.",
        "A row of zeros would be divided by 0: give it a scale of 1 before that.",
    ),
)
