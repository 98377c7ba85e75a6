"""Local SGD: every node steps by its own gradients, and all average their parameters every H steps.

H times fewer messages than data parallelism, each as large as before. With H = 1 it is data parallelism, to
rounding: the mean of n steps from one place is the step by the mean. With larger H nodes drift apart in
between, the more the less their shares resemble each other. Stich 2019; post-local: Lin et al. 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Samples, own


def local_sgd(
    node: Node,
    data: Samples | Sequence[Samples],
    steps: int,
    every: int,
    lr: float = 0.4,
    batch_size: int = 25,
    hidden: int = 256,
    seed: int = 0,
    after: int = 0,
    seed_step: int = 0,
) -> Tensor:
    """Train with an average every ``every`` steps, and one at the end; every rank returns (P,).

    1. A step by this rank's own gradient. 2. Now and then: the mean of all parameters.
    ``data``: one data set that the nodes share out, or a list of one for each rank. ``after``: until this
    step they average after every step (post-local). ``seed_step``: rank r begins with seed + r · seed_step;
    above 0 that is the mistake to see once, networks that have nothing to do with each other, averaged.
    """
    model = make_model(seed + node.rank * seed_step, hidden=hidden)
    theta = parameters(model)
    for step, (x, y) in zip(range(1, steps + 1), own(data, node, batch_size), strict=False):
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)
            sgd_step(model, gradient_of(loss, model), lr)  # 1.
        if step % every == 0 or step <= after or step == steps:
            node.all_reduce(theta, op="mean")  # 2.
        node.record(loss=loss)
    return theta
