"""Which groups of a mesh lie inside a host."""

from __future__ import annotations

import math
from typing import Any

from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..values import items

CASES = (
    ((4, 4, 4), 8), ((8, 1, 8), 8), ((4, 2, 8), 8), ((2, 2, 2), 4), ((64, 1, 1), 8), ((4, 1, 16), 8),
    ((1, 2, 4), 8), ((2, 2, 2), 8), ((2, 2, 3), 4), ((2, 2, 3), 6), ((1, 16, 1), 4), ((4, 2, 3), 8),
)  # fmt: skip


def _inside(shape, host_size):  # type: ignore[no-untyped-def]
    strides = shape[1] * shape[2], shape[2], 1  # neighbours in a group are so many ranks apart
    return [n == 1 or host_size % (n * s) == 0 for n, s in zip(shape, strides, strict=True)]


def _check_inside(answer: Answer) -> str:
    for shape, host_size in CASES:
        right = _inside(shape, host_size)
        got = [_yes(one) for one in items(call(answer, shape, host_size), "what you return")]
        if len(got) != 3:
            raise Wrong(f"a mesh {shape}: {len(got)} answers for three dimensions")
        if got != right:
            _name_inside(got, right, shape, host_size)
    return "meshes of 8 to 64 ranks, also some whose groups lie across the border of two hosts"


def _yes(one: Any) -> bool:
    if isinstance(one, int | float) and one not in (0, 1):
        raise Wrong(f"what you return has {one!r} in it: True or False was asked, for each dimension")
    return bool(one)


def _name_inside(got: list[bool], right: list[bool], shape: tuple[int, int, int], host_size: int) -> None:
    strides = [math.prod(shape[k + 1 :]) for k in range(3)]
    case = f"a mesh {shape}, hosts of {host_size}"
    if got == [not one for one in right]:
        raise Wrong(f"{case}: True is for groups inside a host, yours are for those that cross")
    if got == _inside(shape[::-1], host_size)[::-1]:
        raise Wrong(f"{case}: you let the first dimension count fastest; the last one does")
    k = next(k for k in range(3) if got[k] != right[k])
    name, size, stride = ("data", "pipeline", "tensor")[k], shape[k], strides[k]
    if size == 1:
        raise Wrong(f"{case}: a group of one rank along {name} crosses nothing")
    members = f"ranks {', '.join(str(j * stride) for j in range(min(size, 3)))}{', …' if size > 3 else ''}"
    if got[k] and (size - 1) * stride >= host_size:
        raise Wrong(
            f"{case}: a group along {name} is {members}: its members are {stride} apart, and the last is not "
            "on the first one's host"
        )
    if got[k]:
        raise Wrong(
            f"{case}: groups along {name} take {size * stride} ranks, which don't divide a host's "
            f"{host_size}: one of them lies across two hosts"
        )
    raise Wrong(f"{case}: a group along {name} is {members}, all on one host")


inside = Exercise(
    key="10.inside",
    title="Inside a host",
    difficulty=1,
    minutes=6,
    reference=_inside,
    check=_check_inside,
    hints=(
        "In a group along tensor neighbours are 1 rank apart. And along pipeline, and along data?",
        "A group of n ranks that are s apart lies in a stretch of n · s ranks.",
        "Such stretches lie one after another: none crosses a border between hosts if n · s divides a host.",
    ),
)
