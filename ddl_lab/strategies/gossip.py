"""Gossip on a ring: each node averages with its two neighbours, and no one ever with all.

A step sends 2 · 4P bytes from a node, in two messages, on any number of nodes; a ring all-reduce sends
2(n-1)/n · 4P in 2(n-1). The mean over all nodes is kept, to rounding, and without gradients their distances
from it shrink by 1/3 + 2/3 cos(2 pi/n) a step, which comes near 1 on large rings. Lian et al. 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Samples, own


def mixed(node: Node, theta: Tensor) -> None:
    """``theta`` (P,) becomes, in place, the mean of this rank's and its neighbours' on the ring.

    On two nodes the one neighbour is on both sides and counts twice; on one nothing is sent.
    """
    n = node.world_size
    if n == 1:
        return
    left, right = (node.rank - 1) % n, (node.rank + 1) % n
    from_left, from_right = theta.new_empty(len(theta)), theta.new_empty(len(theta))
    receiving = [node.irecv(from_left, left, tag=1), node.irecv(from_right, right, tag=0)]
    sending = [node.isend(theta, left, tag=0), node.isend(theta, right, tag=1)]
    for handle in receiving + sending:
        handle.wait()
    theta.copy_((theta + from_left + from_right) / 3)


def gossip(
    node: Node,
    data: Samples | Sequence[Samples],
    steps: int,
    lr: float = 0.4,
    batch_size: int = 25,
    hidden: int = 256,
    seed: int = 0,
) -> Tensor:
    """Train, each step mixed with the neighbours' parameters; every rank returns its own, (P,).

    1. A step by this rank's own gradient. 2. The mean with the neighbours. Average the ranks' results for
    the parameters that the training is about.
    """
    model = make_model(seed, hidden=hidden)
    theta = parameters(model)
    for _, (x, y) in zip(range(steps), own(data, node, batch_size), strict=False):
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)
            sgd_step(model, gradient_of(loss, model), lr)  # 1.
        mixed(node, theta)  # 2.
        node.record(loss=loss)
    return theta
