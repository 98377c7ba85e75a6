"""What was recorded before and after each failure, joined rank by rank on one time axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..history.attempts import Attempt
from ..history.history import History
from ..history.recorder import Recorder


def joined(parts: Sequence[History], attempts: Sequence[Attempt]) -> History:
    """One history of all attempts, whose times are on one axis already; a mark where a rank was killed."""
    last = parts[-1]
    marks = [mark for part in parts for mark in part.about.get("marks", ())]
    marks += [(at_s, rank, "killed") for _, rank, at_s in attempts if rank is not None]
    startup_s = sum(part.startup_s for part in parts)
    recorders = in_a_row([part.recorders for part in parts])
    ended = last.results, dict(last.finished_s), last.about | {"marks": marks}, startup_s, last.failed_s
    return History(last.clock, recorders, *ended, list(attempts))


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
    whole.missed_s += more.missed_s
    whole.last = dict(more.last or whole.last)
