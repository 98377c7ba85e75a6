"""A framework's ranks as a History, and how far they are from the course's own."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import torch

from ..history.history import History
from ..history.recorder import Recorder
from .table import Framework
from .task import ours


def history_of(framework: Framework, said: Sequence[dict[str, Any]], began_s: float, epochs: int) -> History:
    """A History of what the ranks reported; the launcher started at ``began_s``.

    Its clock starts when all ranks have begun to train; what came before is ``startup_s``.
    """
    recorders, ends = [], {}
    start_s = max(line["began_s"][0] for line in said)
    for line in said:
        recorder = Recorder()
        times = ends_of_steps(line)
        for loss, at_s in zip(line["losses"], times, strict=True):
            recorder.row(at_s - start_s, {"loss": loss})
        recorders.append(recorder)
        ends[line["rank"]] = line["ended_s"] - start_s
    results = [_weights(line) for line in said]
    about: dict[str, Any] = {"engine": framework.title, "framework": framework.name}
    history = History("wall", recorders, results, ends, about, start_s - began_s)
    about["step_s"] = median(step_seconds(line) for line in said)
    about["differences"] = differences(history, epochs, framework.tells_means)
    return history


def ends_of_steps(line: dict[str, Any]) -> list[float]:
    """When each step of a rank was over: as the next batch was asked for, the last one at its report."""
    return [*line["began_s"][1:], line["ended_s"]]


def step_seconds(line: dict[str, Any]) -> float:
    """Seconds from batch to batch, the median: the first steps may compile, the last one reports."""
    return float(np.median(np.diff(line["began_s"])))


def _weights(line: dict[str, Any]) -> torch.Tensor | None:
    if "weights" not in line:
        return None
    return torch.frombuffer(bytearray(base64.b64decode(line["weights"])), dtype=torch.float32)


def differences(history: History, epochs: int, means: bool = False) -> tuple[float, float]:
    """The largest difference of a loss, and of a parameter, from ``lab.run`` with as many nodes.

    ``means``: the history has the mean loss of all ranks for each of them.
    """
    mine = ours(history.nodes, epochs)
    tables = [
        h.metrics.pivot(index="step", columns="rank", values="loss").to_numpy() for h in (history, mine)
    ]
    theirs, right = (table.mean(1) if means else table for table in tables)
    if theirs.shape != right.shape:
        raise ValueError(f"differences: {theirs.shape[0]} steps of a framework, {right.shape[0]} of ours")
    (last,) = [result for result in history.results if result is not None]
    return float(np.abs(theirs - right).max()), float((last - mine.results[0]).abs().max())
