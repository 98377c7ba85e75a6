"""Whose collectives are whose: on a mesh, groups of one shape lie along one dimension, and get one tint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...history.recorder import COLLECTIVES, KINDS, Recorder
from ...history.spans import group_of
from .curves import Array

# beside the orange of messages: they differ in lightness, so that they stay apart in grey
TINTS = ("#8A4B00", "#F0D060", "#D55E00", "#5C5C00")
_FIRST = KINDS.index(COLLECTIVES[0])
Shape = tuple[str, ...]  # distances from the first rank: those of ranks 2, 3 are those of 0, 1


def tints_of(recorders: Sequence[Recorder]) -> tuple[list[Array], tuple[str, ...]]:
    """By recorder each span's tint, 0 for none, and the names of tints 1, 2, …; none for groups of one shape.

    A name tells the first group of its shape: "group 0, 1" where it is the only one, "groups like 0, 1"
    where there are more, or "all ranks".
    """
    named: dict[Shape, dict[str, None]] = {}  # by shape its groups, the first one first
    shapes = []
    for recorder in recorders:
        rows, labels = recorder.span_array(), list(recorder.labels)
        collective = rows["kind"] >= _FIRST
        own = [_shape(group_of(label)) for label in labels]
        for code in np.unique(rows["label"][collective]).tolist():
            named.setdefault(own[code], {})[group_of(labels[code])] = None
        shapes.append((own, rows["label"], collective))
    order = sorted(named, key=_nearest_first)
    if len(order) < 2:
        return [np.zeros(len(codes), dtype=np.int64) for _, codes, _ in shapes], ()
    tint = {shape: place for place, shape in enumerate(order, start=1)}
    found = [
        np.where(collective, np.array([tint.get(shape, 0) for shape in own])[codes], 0)
        for own, codes, collective in shapes
    ]
    return found, tuple(_name(list(named[shape])) if shape else "all ranks" for shape in order)


def _name(groups: list[str]) -> str:
    return f"group{'s like' * (len(groups) > 1)} {groups[0]}"


def _shape(group: str) -> Shape:
    ranks = [word for word in group.split(", ") if word]
    first = int(ranks[0]) if ranks else 0
    return tuple(word if word == "…" else str(int(word) - first) for word in ranks)


def _nearest_first(shape: Shape) -> tuple[int, Shape]:
    """By the distance of neighbours; all ranks of the run last."""
    return (int(shape[1]) if len(shape) > 1 else 10**9), shape
