"""DiLoCo (Douillard et al. 2023): many local steps of AdamW, then one outer step with Nesterov's momentum.

The nodes average how far each has come since the last exchange, and take that as a gradient. Outer learning
rate 1 without momentum is averaging the parameters. One exchange every H steps, as large as a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters
from ..training.optimisers import Optimiser
from ..training.shards import Samples, own


def diloco(
    node: Node,
    data: Samples | Sequence[Samples],
    steps: int,
    every: int,
    inner: Optimiser,
    outer_lr: float = 0.7,
    outer_momentum: float = 0.9,
    batch_size: int = 25,
    hidden: int = 256,
    seed: int = 0,
) -> Tensor:
    """Train with an exchange every ``every`` steps, and one at the end; every rank returns (P,).

    1. Local steps, by an optimiser whose states stay on the node. 2. How far this rank has come, and the
    mean over all. 3. The same outer step everywhere, from where all began. The paper's inner optimiser is
    AdamW, and the defaults are its outer step's.
    """
    model = make_model(seed, hidden=hidden)
    theta = parameters(model)
    begun, velocity = theta.clone(), torch.zeros_like(theta)
    for step, (x, y) in zip(range(1, steps + 1), own(data, node, batch_size), strict=False):
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)
            inner.step(theta, gradient_of(loss, model))  # 1.
        if step % every == 0 or step == steps:
            come = begun - theta
            node.all_reduce(come, op="mean")  # 2.
            velocity = outer_momentum * velocity + come
            begun -= outer_lr * (come + outer_momentum * velocity)  # 3.
            theta.copy_(begun)
        node.record(loss=loss)
    return theta
