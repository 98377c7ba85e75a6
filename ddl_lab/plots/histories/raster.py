"""What every rank did in the first steps, as one image: cheap to redraw, for any number of ranks."""

from __future__ import annotations

import numpy as np

from ...history.critical import WORK_OF_KIND
from ...history.history import History
from .curves import Array

MOST_ROWS = 64  # ranks that have a lane; of more, every so many-th
COLUMNS = 640
LANE = 10  # pixels a rank, and the last of them is free where there are few
BEHIND = 3  # of them show messages that move beside other work


def raster(history: History, start_s: float, end_s: float, colours: Array) -> tuple[Array, list[int]]:
    """The ranks' lanes between two times in seconds, RGBA of shape (pixels, ``COLUMNS``, 4), and the ranks.

    ``colours``: RGBA bytes by work, as ``lanes.WORK`` has it, shape (3, 4).
    """
    count = min(history.nodes, MOST_ROWS)
    ranks = np.linspace(0, history.nodes - 1, count).round().astype(int).tolist()
    lanes = np.zeros((count, LANE, COLUMNS, 4), dtype=np.uint8)
    for lane, rank in zip(lanes, ranks, strict=True):
        covered = _covered(history.recorders[rank].span_array(), start_s, end_s)
        for work in (2, 1, 0):
            lane[:, covered[work]] = colours[work]
        lane[-BEHIND:, covered[1]] = colours[1]  # a message beside arithmetic lies in the lower part
        if count <= 32:
            lane[-1] = 0
    return lanes.reshape(count * LANE, COLUMNS, 4), ranks


def _covered(spans: Array, start_s: float, end_s: float) -> Array:
    """By work and column: whether a span of it lies there; bool, shape (3, ``COLUMNS``)."""
    inside = (spans["start_s"] < end_s) & (spans["end_s"] > start_s) & (spans["end_s"] > spans["start_s"])
    spans, scale = spans[inside], COLUMNS / (end_s - start_s)
    first, last = (((spans[name] - start_s) * scale).round().astype(int) for name in ("start_s", "end_s"))
    first = np.clip(first, 0, COLUMNS - 1)
    last = np.clip(last, first + 1, COLUMNS)
    work = WORK_OF_KIND[spans["kind"]]
    change = np.zeros((3, COLUMNS + 1), dtype=int)
    np.add.at(change, (work, first), 1)
    np.add.at(change, (work, last), -1)
    return np.cumsum(change, axis=1)[:, :COLUMNS] > 0
