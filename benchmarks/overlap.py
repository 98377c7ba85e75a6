"""Collectives that don't block: what posting one costs its node, and what handles cost a simulation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch

import ddl_lab as lab
from ddl_lab.node.node import Node
from ddl_lab.training.data import Digits

from . import simulation
from .table import Row, medians, seconds

SIZES = (2, 1_000, 201_217, 4_000_000)  # elements of float32: 8 bytes, 4 kB, the network's gradient, 16 MB
NODES, STEPS, BATCH = 64, 7, simulation.BATCH  # an epoch has 8


def posting_s(count: int, repeats: int, nodes: int = 2) -> float:
    """Seconds that a node is in ``all_reduce(…, async_op=True)``; the waits stand apart."""

    def worker(node: Node) -> float:
        tensor, posting_s = torch.ones(count), 0.0
        for k in range(repeats + 5):
            node.barrier()
            began = node.now()
            handle = node.all_reduce(tensor, async_op=True)
            posting_s += (node.now() - began) * (k >= 5)
            handle.wait()
        return posting_s / repeats

    return float(lab.run(worker, nodes, progress=False).results[0])


def blocking_s(count: int, repeats: int, nodes: int = 2) -> float:
    """Seconds of ``all_reduce(…)``, whose ranks come together."""

    def worker(node: Node) -> float:
        tensor, blocking_s = torch.ones(count), 0.0
        for k in range(repeats + 5):
            node.barrier()
            began = node.now()
            node.all_reduce(tensor)
            blocking_s += (node.now() - began) * (k >= 5)
        return blocking_s / repeats

    return float(lab.run(worker, nodes, progress=False).results[0])


def worker(node: Node, digits: Digits) -> None:
    """Each step: this node's batch, an all-reduce with a handle, the same update everywhere."""
    model = lab.make_model(seed=0)
    for x, y in islice(lab.batches(digits.train, node, BATCH), STEPS):
        with node.compute(samples=len(x)):
            gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
        node.all_reduce(gradient, op="mean", async_op=True).wait()
        lab.sgd_step(model, gradient, lr=0.1)


def rows() -> Iterator[Row]:
    """Posting over shm, small and large; a simulation with handles against bare arithmetic."""
    for count in SIZES:
        repeats = 500 if count < 10_000 else 100 if count < 10**6 else 10
        got = medians(
            {
                "posting": lambda c=count, r=repeats: posting_s(c, r),  # type: ignore[misc]
                "blocking": lambda c=count, r=repeats: blocking_s(c, r),  # type: ignore[misc]
            }
        )
        posting, blocking = got["posting"], got["blocking"]
        what, shown = f"posting an all-reduce of {4 * count:,} bytes over shm", f"{posting * 1e6:.0f} us"
        if count <= 1_000:
            yield Row(what, shown, "60 us asked for", posting / 60e-6, 1.0, at_most=True)
        else:
            yield Row(what, shown, f"blocking {blocking * 1e6:.0f} us", posting / blocking, 1.2, at_most=True)

    got = medians(
        {
            "ours": lambda: seconds(lambda: lab.simulate(worker, NODES, args=(lab.load_digits(),))),
            "loop": lambda: simulation.one_thread(lambda: simulation.plain_loop(NODES, STEPS)),
        }
    )
    what, ours, loop = f"simulate {NODES} nodes x {STEPS} steps with handles", got["ours"], got["loop"]
    yield Row(what, f"{ours:.2f} s", f"plain loop {loop:.2f} s", ours / loop, 1.5, at_most=True)
