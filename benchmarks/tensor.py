"""A tensor-parallel step on two processes over shm, against one process, by the width of the layer."""

from __future__ import annotations

from collections.abc import Iterator

import torch

import ddl_lab as lab
from ddl_lab.node.node import Node
from ddl_lab.strategies.tensor_parallel import (
    Block,
    backward,
    block_of,
    descend,
    forward,
    loss_gradient,
    partial_sum,
    split,
)

from .table import Row, medians

BATCH = 64
WIDTHS = (256, 512, 1_024, 2_048, 4_096)


def split_step_s(hidden: int, nodes: int, steps: int = 0) -> float:
    """Seconds of a step of 784 -> hidden -> 1 on ``nodes`` processes, each with its hidden units."""
    digits = lab.load_digits()
    steps = steps or 200_000 // hidden

    def worker(node: Node) -> float:
        mine = [split(block_of(lab.make_model(seed=0, hidden=hidden)), node)]
        x, y = digits.train.x[:BATCH].clone(), digits.train.y[:BATCH].clone()
        began = 0.0
        for step in range(steps + 10):
            if step == 10:  # the first ones warm up
                node.barrier()
                began = node.now()
            logits, tape = forward(node, mine, x)
            gradients, _ = backward(node, mine, tape, loss_gradient(logits, y)[1])
            descend(mine, gradients, lr=0.1)
        return (node.now() - began) / steps

    return float(max(lab.run(worker, nodes, progress=False).results))


def plain_step_s(hidden: int, steps: int = 0) -> float:
    """Seconds of the same step in one process, as plain torch: one backward pass over the whole network."""
    digits = lab.load_digits()
    steps = steps or 200_000 // hidden

    def worker(node: Node) -> float:
        whole = Block(*(part.requires_grad_() for part in block_of(lab.make_model(0, hidden=hidden))))
        x, y = digits.train.x[:BATCH].clone(), digits.train.y[:BATCH].clone()
        began = 0.0
        for step in range(steps + 10):
            if step == 10:
                began = node.now()
            loss = lab.bce_with_logits(partial_sum(whole, x) + whole.bias, y)
            slopes = torch.autograd.grad(loss, list(whole))
            descend([whole], [Block(*slopes)], lr=0.1)
        return (node.now() - began) / steps

    return float(lab.run(worker, 1, progress=False).results[0])


def rows() -> Iterator[Row]:
    """One row a width; only the widest has a target: where it begins to win is what lab 09 draws."""
    for hidden in WIDTHS:
        got = medians(
            {
                "two": lambda hidden=hidden: split_step_s(hidden, 2),  # type: ignore[misc]
                "one": lambda hidden=hidden: plain_step_s(hidden),  # type: ignore[misc]
            }
        )
        what = f"tensor-parallel step 784-{hidden}-1, {BATCH} samples, 2 nodes over shm"
        shown = f"one process {got['one'] * 1e3:.2f} ms"
        ratio, target = got["one"] / got["two"], 1.2 if hidden == WIDTHS[-1] else 0.0
        yield Row(what, f"{got['two'] * 1e3:.2f} ms", shown, ratio, target)
