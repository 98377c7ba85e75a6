"""The article's network: samples per second of processes, against one process and against DDP."""

from __future__ import annotations

from collections.abc import Iterator

import ddl_lab as lab
from ddl_lab.node.node import Node

from . import peers
from .table import Row, medians

BATCH, STEPS = 64, 2_000


def rate(nodes: int, steps: int = STEPS, speaking: bool = True) -> float:
    """Samples per second of ``nodes`` processes together, over shm.

    Not ``speaking``: each trains by itself. No transport can be faster than that.
    """
    digits = lab.load_digits()

    def worker(node: Node) -> float:
        model, taken, began = lab.make_model(seed=0), 0, 0.0
        for epoch in range(1 + steps * BATCH * node.world_size // len(digits.train.x)):
            for x, y in lab.batches(digits.train, node, BATCH, epoch=epoch):
                with node.compute(samples=len(x)):
                    loss = lab.bce_with_logits(model(x), y)
                    gradient = lab.gradient(loss, model)
                if speaking:
                    node.all_reduce(gradient, op="mean")
                lab.sgd_step(model, gradient, lr=0.1)
                began = began or node.now()  # the first step warms up
                taken += len(x)
        return taken * node.world_size / (node.now() - began)

    return float(lab.run(worker, nodes, progress=False).results[0])


def rows() -> Iterator[Row]:
    """Two nodes against one process and DDP; four nodes on however many cores there are."""
    got = medians(
        {
            "two": lambda: rate(2),
            "one": lambda: peers.measure("one_process", BATCH, STEPS),
            "ddp": lambda: peers.measure("ddp", 2, BATCH, STEPS),
            "four": lambda: rate(4, STEPS // 2),
            "silent": lambda: rate(2, speaking=False),
        }
    )
    two, one, ddp, four, silent = (got[name] for name in ("two", "one", "ddp", "four", "silent"))
    what = "train 784-256-1, 64 samples a node, {} nodes over shm"
    shown = f"{two:,.0f} /s"
    yield Row(what.format(2), shown, f"one process {one:,.0f} /s", two / one, 1.3)
    yield Row(what.format(2), shown, f"DDP over gloo {ddp:,.0f} /s", two / ddp, 3)
    yield Row(what.format(2), shown, f"never speaking {silent:,.0f} /s", two / silent, 0.75)
    yield Row(what.format(4), f"{four:,.0f} /s", f"one process {one:,.0f} /s", four / one, 1)
