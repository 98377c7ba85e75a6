"""What the pipeline's interpreter costs: a paced step over the ideal one, (m + p - 1)(t_f + t_b)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import ddl_lab as lab
from ddl_lab.history.history import History
from ddl_lab.strategies.pipeline import pipeline
from ddl_lab.strategies.schedules import Schedule, by_stage, gpipe, one_f_one_b, with_messages

from .table import Row, medians

NODES, MICROS, STEPS = 4, 8, 5
SECONDS = {"forward": 0.01, "backward": 0.02}
CLUSTER = lab.Cluster(latency_s=50e-6, bandwidth_bytes_per_s=1e9)


def step_s(history: History) -> float:
    """Median seconds of a step: rank 0 ends each with its last backward. The first one warms up."""
    spans = history.spans.query("rank == 0 and kind == 'compute'")
    ends = spans["end_s"].to_numpy()[2 * MICROS - 1 :: 2 * MICROS]
    return float(np.median(np.diff(ends)))


def paced(schedule: Schedule) -> float:
    """A step over real processes that keep the cluster's pace."""
    data = lab.load_digits().train
    args = (data, schedule, STEPS, 64, 0.05, SECONDS)
    return step_s(lab.run(pipeline, NODES, cluster=CLUSTER, args=args, progress=False))


def rows() -> Iterator[Row]:
    """GPipe and 1F1B, four stages, eight micro-batches."""
    ideal = (MICROS + NODES - 1) * sum(SECONDS.values())
    for order in (gpipe, one_f_one_b):
        schedule = with_messages(by_stage(order, NODES, MICROS))
        took = medians({"": lambda s=schedule: paced(s)})[""]  # type: ignore[misc]
        what = f"pipeline paced: {order.__name__}, {NODES} stages, {MICROS} micro-batches"
        yield Row(
            what, f"{took * 1e3:.1f} ms", f"ideal {ideal * 1e3:.0f} ms", took / ideal, 1.05, at_most=True
        )
