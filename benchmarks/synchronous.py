"""Lab 05's worker, which records every step, against the bare engine: the same steps without records."""

from __future__ import annotations

from collections.abc import Iterator

import ddl_lab as lab
from ddl_lab.strategies.data_parallel import data_parallel

from .table import Row, medians
from .training import BATCH, rate

EPOCHS = 30
NODES = 2


def lab_rate() -> float:
    """Samples per second of two nodes together, between the first and the last step's records."""
    digits = lab.load_digits()
    args = (digits.train, BATCH, EPOCHS)
    history = lab.run(data_parallel, NODES, args=args, transport="shm", progress=False)
    times = history.metrics.loc[history.metrics["rank"] == 0, "time_s"]
    steps_s = (len(times) - 1) / (times.iloc[-1] - times.iloc[0])
    return float(steps_s * len(digits.train.x) * EPOCHS / len(times))


def rows() -> Iterator[Row]:
    """The lab's worker against the engine's bare rate, in turns."""
    got = medians({"lab": lab_rate, "bare": lambda: rate(NODES, 1_000)})
    what = f"lab 05's worker, {BATCH} samples a node, {NODES} nodes over shm"
    shown, bare = f"{got['lab']:,.0f} /s", f"bare engine {got['bare']:,.0f} /s"
    yield Row(what, shown, bare, got["lab"] / got["bare"], 0.95)
