"""Data parallelism with any optimiser: Adam on n nodes, the same states everywhere without sending one.

``step(theta, gradient)`` is the optimiser's (``training/optimisers.py`` has some). All nodes step by the
same mean gradient from the same states, so parameters and states stay the same to the bit, and equal those
of one process that accumulates the n batches in rank order. (The states shared out, a node keeping its n-th
of them: ``sharded``.)
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters
from ..training.optimisers import Optimiser
from ..training.shards import Samples, own


def optimised(
    node: Node,
    data: Samples | Sequence[Samples],
    steps: int,
    optimiser: Optimiser,
    batch_size: int = 25,
    hidden: int = 256,
    seed: int = 0,
    local: bool = False,
) -> Tensor:
    """Train with the mean gradient of all nodes; every rank returns the parameters, (P,).

    1. The gradient of this rank's batch. 2. The mean over all ranks. 3. The same optimiser's step everywhere.
    ``local``: the mistake to see once, 3. before 2.: each optimiser sees its own gradients alone, and the
    parameters are averaged after its step.
    """
    model = make_model(seed, hidden=hidden)
    theta = parameters(model)
    for _, (x, y) in zip(range(steps), own(data, node, batch_size), strict=False):
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)
            gradient = gradient_of(loss, model)  # 1.
        if local:
            optimiser.step(theta, gradient)
            node.all_reduce(theta, op="mean")
        else:
            node.all_reduce(gradient, op="mean")  # 2.
            optimiser.step(theta, gradient)  # 3.
        node.record(loss=loss)
    return theta
