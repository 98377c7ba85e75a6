"""From asking for processes to the end of their first all-reduce."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import torch

import ddl_lab as lab
from ddl_lab.node.node import Node

from . import peers
from .table import REPEATS, Row, medians


def first_all_reduce(nodes: int) -> float:
    """Seconds from the call of ``run`` to the end of the last rank's first all-reduce."""

    def worker(node: Node) -> float:
        node.all_reduce(torch.ones(1))
        return time.monotonic()

    began = time.monotonic()
    return float(max(lab.run(worker, nodes, progress=False).results) - began)


def rows() -> Iterator[Row]:
    """4 processes against torch.multiprocessing.spawn, 8 against torchrun."""
    first_all_reduce(1)  # the fork server is warm, as it is after the first cell
    for nodes, peer, name in [
        (4, "spawn_first_all_reduce", "torch.multiprocessing.spawn"),
        (8, "torchrun_first_all_reduce", "torchrun"),
    ]:
        ours = medians({"": partial(first_all_reduce, nodes)}, 3 * REPEATS)[""]
        theirs = medians({"": partial(peers.measure, peer, nodes)})[""]
        what = f"start {nodes} processes to the end of their first all-reduce"
        yield Row(what, f"{ours * 1e3:.0f} ms", f"{name.split('.')[-1]} {theirs:.1f} s", theirs / ours, 30)
