"""Where a rank stands on a mesh."""

from __future__ import annotations

import math
from typing import Any

from ..helpers import Answer, Wrong
from ..machine import Exercise


def _coordinates(rank, shape):  # type: ignore[no-untyped-def]
    found = list(shape)
    for k in reversed(range(len(shape))):
        rank, found[k] = divmod(rank, shape[k])
    return tuple(found)


def _check_place(answer: Answer) -> str:
    for shape in ((2, 3, 4), (2, 1, 2), (8, 2, 4), (5,), (2, 2, 2, 2)):
        nodes = math.prod(shape)
        found, right = ([f(rank, shape) for rank in range(nodes)] for f in (answer, _coordinates))
        if [tuple(got) if isinstance(got, tuple | list) else got for got in found] != right:
            _name_place(found, right, shape)
    return "two, three and four dimensions, and a single one; every rank"


def _name_place(found: list[Any], right: list[tuple[int, ...]], shape: tuple[int, ...]) -> None:
    for rank, got in enumerate(found):
        if not isinstance(got, tuple | list):
            raise Wrong(f"return one coordinate for each dimension, and not {got!r:.60}")
        if len(got) != len(shape):
            raise Wrong(f"rank {rank} of a mesh {shape}: {len(got)} coordinates for {len(shape)} dimensions")
    theirs = [tuple(got) for got in found]
    if theirs == [_coordinates(rank, shape[::-1])[::-1] for rank in range(len(found))]:
        raise Wrong(
            f"on a mesh {shape} your first dimension counts fastest. The last one should: neighbours share "
            "a host, and the tensor dimension is the last"
        )
    rank = next(rank for rank in range(len(right)) if theirs[rank] != right[rank])
    case = f"rank {rank} of a mesh {shape}"
    if theirs == [place[::-1] for place in right]:
        raise Wrong(f"{case}: the right coordinates from back to front, {theirs[rank]}")
    if any(not 0 <= g < size for g, size in zip(theirs[rank], shape, strict=True)):
        raise Wrong(f"{case}: {theirs[rank]} lies outside the mesh")
    raise Wrong(f"{case} stands at {right[rank]}, and not at {theirs[rank]}")


place = Exercise(
    key="09.place",
    title="Where a rank stands",
    difficulty=2,
    minutes=8,
    reference=_coordinates,
    check=_check_place,
    hints=(
        "It is the rank written with a digit for each dimension, as 75 minutes are 1 hour and 15.",
        "The last coordinate is rank % shape[-1]; what is left, rank // shape[-1], goes to the next one.",
    ),
)
