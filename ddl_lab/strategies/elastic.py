"""Elastic averaging (EASGD: Zhang, Choromanska and LeCun 2015): nodes on springs around a common centre.

Every H steps each node moves by alpha towards the centre, and the centre by as much towards each of them:
without gradients the sum of all nodes and the centre is conserved, to rounding. Here every rank has the
centre, and one all-reduce moves it; the paper has it on a server.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Samples, own


def pulled(node: Node, theta: Tensor, centre: Tensor, alpha: float) -> None:
    """This rank's ``theta`` (P,) and the ``centre`` (P,) of all move towards each other, in place."""
    pull = alpha * (theta - centre)
    theta.sub_(pull)
    node.all_reduce(pull)
    centre.add_(pull)


def elastic(
    node: Node,
    data: Samples | Sequence[Samples],
    steps: int,
    every: int,
    alpha: float = 0.1,
    lr: float = 0.4,
    batch_size: int = 25,
    hidden: int = 256,
    seed: int = 0,
) -> Tensor:
    """Train on springs; every rank returns the centre, (P,).

    1. A step by this rank's own gradient. 2. Every ``every`` steps, and at the end: node and centre move
    towards each other. Raises ``ValueError`` where the centre would leap over the nodes: alpha · n above 1.
    """
    if not 0 < alpha * node.world_size <= 1:
        raise ValueError(
            f"alpha={alpha!r} on {node.world_size} nodes: it takes a number above 0, and 1 / n at most"
        )
    model = make_model(seed, hidden=hidden)
    theta = parameters(model)
    centre = theta.clone()
    for step, (x, y) in zip(range(1, steps + 1), own(data, node, batch_size), strict=False):
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)
            sgd_step(model, gradient_of(loss, model), lr)  # 1.
        if step % every == 0 or step == steps:
            pulled(node, theta, centre, alpha)  # 2.
        node.record(loss=loss)
    return centre
