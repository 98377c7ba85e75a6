"""Training on a stream: each digit is tested when it comes, and learned then; it never comes again.

The share that is right *before* it is learned is the prequential accuracy (test, then train). The nodes
average their gradients in each step, their parameters now and then, or nothing.
"""

from __future__ import annotations

from itertools import islice

from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Samples, batches


def online(
    node: Node,
    data: Samples,
    steps: int,
    every: int,
    swap: int,
    lr: float = 0.2,
    batch_size: int = 4,
    hidden: int = 64,
    seed: int = 0,
) -> Tensor:
    """Learn from this node's part of the stream, ``batch_size`` digits a step; each rank returns (P,).

    1. Test the digits that come, and record the share that is ``right``. 2. With ``every`` 1 all nodes
    average gradients. 3. A step. 4. With a larger ``every`` they average parameters after so many steps;
    with 0 never. After step ``swap`` odd digits are called even, and even ones odd. ``seed``: of the
    network and of the order in which digits come; the stream ends where they do, or after ``steps``.
    """
    model = make_model(seed, hidden=hidden)
    theta = parameters(model)
    stream = islice(batches(data, node, batch_size, epoch=seed), steps)
    for step, (x, labels) in enumerate(stream, start=1):
        y = labels if step <= swap else 1 - labels
        with node.compute(samples=len(x)):
            scores = model(x)
            gradient = gradient_of(bce_with_logits(scores, y), model)
        node.record(right=((scores > 0) == (y > 0.5)).float().mean())  # 1.
        if every == 1:
            node.all_reduce(gradient, op="mean")  # 2.
        sgd_step(model, gradient, lr)  # 3.
        if every > 1 and step % every == 0:
            node.all_reduce(theta, op="mean")  # 4.
    return theta
