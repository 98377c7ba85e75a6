"""How closely paced processes keep the time that the simulation predicts for the same cluster."""

from __future__ import annotations

from collections.abc import Iterator

import torch

import ddl_lab as lab
from ddl_lab.node.node import Node

from .table import Row, medians

CLUSTER = lab.Cluster(latency_s=1e-3, bandwidth_bytes_per_s=1e9)
NODES, STEPS = 8, 20


def worker(node: Node) -> None:
    """Synchronous steps: 20 ms of compute, an all-reduce of a small tensor."""
    gradient = torch.ones(1_000)
    for _ in range(STEPS):
        with node.compute(seconds=0.02):
            pass
        node.all_reduce(gradient, op="mean")


def rows() -> Iterator[Row]:
    """Paced wall time over predicted time."""
    paced = medians({"": lambda: lab.run(worker, NODES, cluster=CLUSTER, progress=False).elapsed_s})[""]
    predicted = lab.simulate(worker, NODES, cluster=CLUSTER).elapsed_s
    what = f"paced: {NODES} nodes, 20 ms compute, 1 ms latency, {STEPS} steps"
    shown = f"simulate {predicted * 1e3:.0f} ms"
    yield Row(what, f"{paced * 1e3:.0f} ms", shown, paced / predicted, 1.05, at_most=True)
