"""Where a rank stands on a mesh."""

from __future__ import annotations

import math
from typing import Any

from ..helpers import Answer, Wrong
from ..machine import Exercise
from ..values import items, whole


def _coordinates(rank, shape):  # type: ignore[no-untyped-def]
    found = list(shape)
    for k in reversed(range(len(shape))):
        rank, found[k] = divmod(rank, shape[k])
    return tuple(found)


def _check_place(answer: Answer) -> str:
    for shape in ((2, 3, 4), (2, 1, 2), (8, 2, 4), (5,), (2, 2, 2, 2)):
        nodes = math.prod(shape)
        right = [_coordinates(rank, shape) for rank in range(nodes)]
        found = [_place(answer(rank, shape), rank, shape) for rank in range(nodes)]
        if found != right:
            _name_place(found, right, shape)
    return "two, three and four dimensions, and a single one; every rank"


def _place(got: Any, rank: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    here = items(got, f"rank {rank} of a mesh {shape}: what you return")
    if len(here) != len(shape):
        raise Wrong(f"rank {rank} of a mesh {shape}: {len(here)} coordinates for {len(shape)} dimensions")
    return tuple(whole(coordinate, "a coordinate") for coordinate in here)


def _name_place(theirs: list[tuple[int, ...]], right: list[tuple[int, ...]], shape: tuple[int, ...]) -> None:
    if theirs == [_coordinates(rank, shape[::-1])[::-1] for rank in range(len(theirs))]:
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
    key="10.place",
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
