"""Attempts: what was recorded before and after each failure, put one after another on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .recorder import Recorder


class Attempt(NamedTuple):
    """One attempt of a run that goes on after failures."""

    nodes: int
    rank: int | None
    """The rank that was killed; None: it finished."""
    at_s: float
    """When it ended, on the time axis of all attempts."""


def in_a_row(parts: Sequence[Sequence[Recorder]]) -> list[Recorder]:
    """By rank, what the recorders of each attempt hold; their times are on one axis already.

    Steps go on counting: an attempt's first is the same for all ranks, after all of those before it.
    """
    whole = [Recorder() for _ in range(max(map(len, parts)))]
    first_step = 0
    for recorders in parts:
        for recorder, more in zip(whole, recorders, strict=False):  # of fewer nodes, the first ones
            _append(recorder, more, first_step)
        first_step += max(recorder.steps for recorder in recorders)
    return whole


def _append(whole: Recorder, more: Recorder, first_step: int) -> None:
    codes = np.array([whole.label_code(label) for label in more.labels], dtype="<u2")
    spans = more.span_array().copy()
    spans["label"] = codes[spans["label"]]
    whole.spans += spans.tobytes()
    for names, table in more.row_arrays().items():
        rows = table.copy()
        rows["step"] += first_step
        whole.metrics.setdefault(names, bytearray()).extend(rows.tobytes())
    whole.sent_at += (more.sent_array() + whole.bytes_sent).astype("<i8").tobytes()
    whole.steps += more.steps
    whole.bytes_sent += more.bytes_sent
    whole.messages_sent += more.messages_sent
    whole.samples += more.samples
    whole.last = dict(more.last or whole.last)
