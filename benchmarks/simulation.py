"""What the virtual clock costs: a simulation against the same arithmetic in a plain loop."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import torch

import ddl_lab as lab
from ddl_lab.node import Node

from .table import Row, medians, seconds

NODES, STEPS, BATCH = 64, 20, 8


def worker(node: Node, steps: int) -> None:
    """The article's network on a few samples a step."""
    digits, model = lab.load_digits(), lab.make_model(seed=0)
    done = 0
    for epoch in range(steps):
        for x, y in lab.batches(digits.train, node, BATCH, epoch=epoch):
            with node.compute(samples=len(x)):
                gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
            node.all_reduce(gradient, op="mean")
            lab.sgd_step(model, gradient, lr=0.1)
            done += 1
            if done == steps:
                return


def plain_loop() -> None:
    """The same batches, gradients, sums in rank order and steps, over models of their own."""
    digits = lab.load_digits()
    models = [lab.make_model(seed=0) for _ in range(NODES)]
    places = [SimpleNamespace(rank=r, world_size=NODES) for r in range(NODES)]
    done, epoch = 0, 0
    while done < STEPS:
        shards = [lab.batches(digits.train, place, BATCH, epoch=epoch) for place in places]
        for batches in zip(*shards, strict=True):
            gradients = [
                lab.gradient(lab.bce_with_logits(model(x), y), model)
                for model, (x, y) in zip(models, batches, strict=True)
            ]
            total = gradients[0].clone()
            for gradient in gradients[1:]:
                total += gradient
            total /= NODES
            for model in models:
                lab.sgd_step(model, total, lr=0.1)
            done += 1
            if done == STEPS:
                return
        epoch += 1


def one_thread(call: object) -> float:
    """Seconds of ``call`` with one torch thread, as the simulation has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return seconds(call)  # type: ignore[arg-type]
    finally:
        torch.set_num_threads(threads)


def rows() -> Iterator[Row]:
    """64 nodes, 20 steps of 8 samples each."""
    got = medians(
        {
            "ours": lambda: seconds(lambda: lab.simulate(worker, NODES, args=(STEPS,))),
            "loop": lambda: one_thread(plain_loop),
        }
    )
    what = f"simulate {NODES} nodes x {STEPS} steps of {BATCH} samples"
    ours, loop = got["ours"], got["loop"]
    yield Row(what, f"{ours:.2f} s", f"plain loop {loop:.2f} s", ours / loop, 1.5, at_most=True)
