"""What every rank did in the first steps, as one image: cheap to redraw, for any number of ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..history.critical import WORK, WORK_OF_KIND
from ..history.history import History
from .curves import Array

MOST_ROWS = 64  # ranks that have a lane; of more, every so many-th
COLUMNS = 640
LANE = 10  # pixels a rank, and the last of them is free where there are few
BEHIND = 3  # of them show messages that move beside other work

WORKS = WORK[:3]  # all but the time outside spans


def raster(history: History, end_s: float, colours: Array) -> tuple[Array, list[int]]:
    """The ranks' lanes from 0 to ``end_s`` seconds, RGBA of shape (pixels, ``COLUMNS``, 4), and the ranks.

    ``colours``: RGBA bytes by work, as ``WORKS`` names it, shape (3, 4).
    """
    count = min(history.nodes, MOST_ROWS)
    ranks = np.linspace(0, history.nodes - 1, count).round().astype(int).tolist()
    lanes = np.zeros((count, LANE, COLUMNS, 4), dtype=np.uint8)
    for lane, rank in zip(lanes, ranks, strict=True):
        covered = _covered(history.recorders[rank].span_array(), end_s)
        for work in (2, 1, 0):
            lane[:, covered[work]] = colours[work]
        lane[-BEHIND:, covered[1]] = colours[1]  # a message beside arithmetic lies in the lower part
        if count <= 32:
            lane[-1] = 0
    return lanes.reshape(count * LANE, COLUMNS, 4), ranks


def _covered(spans: Array, end_s: float) -> Array:
    """By work and column: whether a span of it lies there; bool, shape (3, ``COLUMNS``)."""
    spans = spans[(spans["start_s"] < end_s) & (spans["end_s"] > spans["start_s"])]
    first = np.minimum((spans["start_s"] * (COLUMNS / end_s)).round().astype(int), COLUMNS - 1)
    last = np.clip((spans["end_s"] * (COLUMNS / end_s)).round().astype(int), first + 1, COLUMNS)
    work = WORK_OF_KIND[spans["kind"]]
    change = np.zeros((3, COLUMNS + 1), dtype=int)
    np.add.at(change, (work, first), 1)
    np.add.at(change, (work, last), -1)
    return np.cumsum(change, axis=1)[:, :COLUMNS] > 0


def end_of_step(history: History, step: int) -> float | None:
    """When the last rank recorded ``step``; None where one has not, and where ranks record nothing."""
    ends = []
    for recorder in history.recorders:
        times: list[Any] = [rows["time_s"][rows["step"] == step] for rows in recorder.row_arrays().values()]
        found = np.concatenate(times) if times else np.empty(0)
        if not len(found):
            return None
        ends.append(float(found.max()))
    return max(ends)
