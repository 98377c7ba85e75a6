"""The explorer, without a page: how soon the first points stand after a move of its slider, and what
the whole redraw costs beside the same arithmetic in a plain loop.

The widget's own code runs, on an event loop as in a kernel. A ``Screen`` takes what would go to the page.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import ddl_lab as lab
from ddl_lab.cluster.model import Cluster
from ddl_lab.node.node import Node
from ddl_lab.widgets.explorer import Explorer
from ddl_lab.widgets.panel import Panel

from .simulation import one_thread, step_together
from .table import Row, medians

EPOCHS = 3
NODES, BATCH = 64, 500  # lab 00's explorer, its slider at the right end
FIRST_S = 0.3
MOST_S = 60.0  # after which something is wrong


def train(node: Node, batch: int) -> None:
    """Lab 00's worker, ``batch`` samples a step on all nodes together.

    This node's part of every batch, an all-reduce, the same step everywhere.
    """
    digits, model = lab.load_digits(), lab.make_model(seed=0)
    share = math.ceil(batch / node.world_size)
    for epoch in range(EPOCHS):
        for x, y in lab.batches(digits.train, node, batch_size=share, epoch=epoch):
            with node.compute(samples=len(x)):
                loss = lab.bce_with_logits(model(x), y)
                gradient = lab.gradient(loss, model)
            node.all_reduce(gradient, op="mean")
            lab.sgd_step(model, gradient, lr=0.1)
            node.record(loss=loss)


def plain_loop(nodes: int, batch: int) -> list[float]:
    """The same batches, gradients, sums in rank order and steps, over models of their own; all losses."""
    digits, losses = lab.load_digits(), []
    models = [lab.make_model(seed=0) for _ in range(nodes)]
    places = [SimpleNamespace(rank=r, world_size=nodes) for r in range(nodes)]
    share = math.ceil(batch / nodes)
    for epoch in range(EPOCHS):
        shards = [lab.batches(digits.train, place, share, epoch=epoch) for place in places]
        for batches in zip(*shards, strict=True):
            gradients = []
            for model, (x, y) in zip(models, batches, strict=True):
                loss = lab.bce_with_logits(model(x), y)
                gradients.append(lab.gradient(loss, model))
                losses.append(loss.item())
            step_together(models, gradients)
    return losses


class Screen:
    """Takes what an explorer displays, and notes when its pictures come."""

    def __init__(self) -> None:
        self.pictures_s: list[float] = []
        self.text = ""

    def display(self, thing: Any, metadata: Any = None, raw: bool = False, display_id: Any = None) -> Any:
        """In place of IPython's ``display``; its handles update this screen."""
        if raw:
            self.update(thing)
        return SimpleNamespace(update=self.update)

    def update(self, bundle: dict[str, Any], metadata: Any = None, raw: bool = True) -> None:
        """A newer state of the figure or of its words."""
        if "image/png" in bundle:
            self.pictures_s.append(time.perf_counter())
        else:
            self.text = bundle["text/plain"]


async def _moved(screen: Screen, nodes: int, batch: int) -> tuple[float, float]:
    """Show the explorer at 4 nodes, move it to ``nodes``: seconds to the first points, and to the whole."""
    explorer = Explorer(Panel(train, 4, nodes, Cluster(), (batch,), {}, False), "loss")
    explorer.show()
    drawn, began = len(screen.pictures_s), time.perf_counter()
    explorer.panel.nodes.widget.value = nodes
    while not screen.text.startswith(f"{nodes} simulated nodes"):
        await asyncio.sleep(0.001)
        if time.perf_counter() > began + MOST_S:
            raise TimeoutError(f"the explorer did not come to its end: {screen.text}")
    ended = time.perf_counter()
    explorer.close()
    return screen.pictures_s[drawn] - began, ended - began


def moved(nodes: int, batch: int) -> tuple[float, float]:
    """As ``_moved``, on an event loop of its own."""
    screen = Screen()
    with mock.patch("IPython.display.display", screen.display):
        return asyncio.run(_moved(screen, nodes, batch))


def rows() -> Iterator[Row]:
    """The first points, and the whole redraw."""
    firsts: list[float] = []

    def whole() -> float:
        first_s, whole_s = moved(NODES, BATCH)
        firsts.append(first_s)
        return whole_s

    got = medians({"explorer": whole, "loop": lambda: one_thread(lambda: plain_loop(NODES, BATCH))})
    first_s = statistics.median(firsts)
    what = f"explorer moved to {NODES} nodes: first points on the page"
    asked = f"{FIRST_S} s asked for"
    yield Row(what, f"{first_s:.2f} s", asked, first_s / FIRST_S, 1.0, at_most=True)

    what = f"explorer moved to {NODES} nodes: whole redraw"
    ours, loop = got["explorer"], got["loop"]
    yield Row(what, f"{ours:.2f} s", f"plain loop {loop:.2f} s", ours / loop, 1.5, at_most=True)
