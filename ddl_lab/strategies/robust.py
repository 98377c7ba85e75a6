"""Robust aggregation: what takes the mean's place where a node may send anything.

A *rule* makes one vector (P,) of all nodes' vectors (n, P).

================  ======================================  ==========================================
function          what it takes                           what it stands
================  ======================================  ==========================================
``mean``          the mean of all                         no liar at all
``median``        the middle one, place by place          fewer than half; a nan gets through
``trimmed_mean``  the mean without the f largest and f    f liars; a nan counts as largest, so f of
                  smallest, place by place                those, too
``krum``          the vector nearest to its n - f - 2     f liars of more than 2f + 2 nodes
                  nearest others                          (Blanchard et al. 2017)
================  ======================================  ==========================================

All of them hold that honest vectors resemble each other. Where nodes' data differ they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeAlias

import torch
from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Samples, endless

Rule: TypeAlias = Callable[[Tensor], Tensor]
Lie: TypeAlias = Callable[[int, int, Tensor], Tensor]  # (rank, step, gradient) -> what is sent


def mean(vectors: Tensor) -> Tensor:
    """(n, P) -> (P,)."""
    return vectors.mean(dim=0)


def median(vectors: Tensor) -> Tensor:
    """(n, P) -> (P,): place by place; the lower one of two in the middle. A nan in a place stays there."""
    return vectors.median(dim=0).values


def trimmed_mean(vectors: Tensor, liars: int = 1) -> Tensor:
    """(n, P) -> (P,): place by place without the ``liars`` largest and smallest; a nan counts as largest.

    Raises ``ValueError`` where nothing would be left.
    """
    n = len(vectors)
    if liars < 0 or 2 * liars >= n:
        raise ValueError(f"liars={liars} of {n} vectors: 2 · liars are left out, so fewer than half may lie")
    return vectors.sort(dim=0).values[liars : n - liars].mean(dim=0)


def krum(vectors: Tensor, liars: int = 1) -> Tensor:
    """(n, P) -> (P,): the one vector whose n - liars - 2 nearest others are nearest, by squared distance.

    Raises ``ValueError`` unless 2 · liars + 2 < n.
    """
    n = len(vectors)
    if liars < 0 or 2 * liars + 2 >= n:
        raise ValueError(f"liars={liars} of {n} vectors: Krum takes more than 2 · liars + 2 vectors")
    distances = torch.cdist(vectors, vectors) ** 2  # (n, n)
    distances.fill_diagonal_(torch.inf)
    nearest = distances.nan_to_num(nan=torch.inf).sort(dim=1).values[:, : n - liars - 2]
    return vectors[nearest.sum(dim=1).argmin()]


def honest(rank: int, step: int, gradient: Tensor) -> Tensor:
    """Nobody lies."""
    return gradient


def aggregated(
    node: Node,
    shares: Sequence[Samples],
    rule: Rule = mean,
    lie: Lie = honest,
    steps: int = 32,
    batch_size: int = 50,
    lr: float = 0.2,
    hidden: int = 256,
) -> Tensor:
    """Train with ``rule`` in the all-reduce's place; every rank returns the parameters (P,).

    ``shares``: each rank's data. 1. This rank's gradient, or what it says that were one. 2. All ranks',
    gathered: 4P (n - 1) bytes a node. 3. The same rule everywhere.
    """
    model = make_model(0, hidden=hidden)
    for step, (x, y) in enumerate(islice(endless(shares[node.rank], None, batch_size), steps)):
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)
            vector = lie(node.rank, step, gradient_of(loss, model))  # 1.
        vectors = vector.new_empty(node.world_size * len(vector))
        node.all_gather(vectors, vector)  # 2.
        sgd_step(model, rule(vectors.view(node.world_size, -1)), lr)  # 3.
        node.record(loss=loss)
    return parameters(model)
