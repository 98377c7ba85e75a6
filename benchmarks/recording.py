"""What recording costs: the spans and the metrics row of a training step, as a share of 1 ms."""

from __future__ import annotations

from collections.abc import Iterator

import ddl_lab as lab
from ddl_lab.node.node import Node

from .table import Row, medians

STEPS = 20_000


def recording_s() -> float:
    """Seconds that the records of one step take: a compute, a wait and an all-reduce span, and a row."""

    def worker(node: Node) -> float:
        recorder = node._recorder
        began = node.now()
        for _ in range(STEPS):
            now = node.now()
            recorder.span("compute", now, now)
            recorder.span("wait", now, now, -1, 0, "all_reduce")
            recorder.span("all_reduce", now, now, -1, 800_000, "mean")
            node.record(loss=0.5)
        return (node.now() - began) / STEPS

    return float(lab.run(worker, 1, progress=False).results[0])


def rows() -> Iterator[Row]:
    """The records of one step."""
    cost = medians({"": recording_s})[""]
    what = "record a step: three spans and a row, streamed to the caller"
    yield Row(what, f"{cost * 1e6:.1f} us", "step of 1000 us", cost / 1e-3, 0.02, at_most=True)
