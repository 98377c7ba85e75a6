"""Compressed data parallelism: less than the gradient is sent, and what wasn't is remembered.

An *exchange* is a function of (node, vector (P,), step). Every rank calls it with a vector of its own; it
returns ``(mean, sent)``, both (P,): the mean over all ranks of what they sent, and what this rank's part in
it was. ``top_k``, ``sign``, ``quantised`` and ``low_rank`` have some; ``dense`` sends all there is.

With memory a rank adds what earlier steps left out to its next gradient, e = v - sent (error feedback:
Seide et al. 2014, Karimireddy et al. 2019). Then nothing is lost, it comes late: parameters less
lr · mean(e) are those of uncompressed steps with the same gradients, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Samples, batches

Exchange: TypeAlias = Callable[[Node, Tensor, int], tuple[Tensor, Tensor]]


def dense(node: Node, vector: Tensor, step: int = 0) -> tuple[Tensor, Tensor]:
    """Nothing left out: 2(n-1)/n · 4P bytes (ring) in one all-reduce."""
    mean = vector.clone()
    node.all_reduce(mean, op="mean")
    return mean, vector


def compressed(
    node: Node,
    data: Samples,
    exchange: Exchange,
    memory: bool = True,
    batch_size: int = 50,
    epochs: int = 5,
    lr: float = 0.2,
    momentum: float = 0.0,
    hidden: int = 256,
    seed: int = 0,
) -> Tensor:
    """Train on equal shares, gradients sent by ``exchange``; every rank returns the parameters, (P,).

    1. The gradient of this rank's batch, and what earlier steps left out. 2. What all ranks send, in the
    mean. 3. What this rank left out stays here. 4. The same step everywhere; ``momentum`` is that of the
    mean, after the exchange.
    """
    model = make_model(seed, hidden=hidden)
    left, velocity = torch.zeros_like(parameters(model)), torch.zeros_like(parameters(model))
    step = 0
    for epoch in range(epochs):
        for x, y in batches(data, node, batch_size, epoch):
            with node.compute(samples=len(x)):
                loss = bce_with_logits(model(x), y)
                vector = gradient_of(loss, model) + left  # 1.
            mean, sent = exchange(node, vector, step)  # 2.
            if memory:
                left = vector - sent  # 3.
            velocity = momentum * velocity + mean
            sgd_step(model, velocity, lr)  # 4.
            node.record(loss=loss)
            step += 1
    return parameters(model)


def momentum_corrected(
    node: Node,
    data: Samples,
    exchange: Exchange,
    batch_size: int = 50,
    epochs: int = 5,
    lr: float = 0.2,
    momentum: float = 0.9,
    hidden: int = 256,
    seed: int = 0,
) -> Tensor:
    """As ``compressed`` with memory, momentum before the exchange (DGC: Lin et al. 2018); returns (P,).

    1. Every rank has a velocity of its own, and remembers velocities. 2. As before. 3. What a rank has sent
    is forgotten, of its velocity too, lest a place that waited long overshoot. For exchanges that send a
    place whole or not at all, as ``top_k`` does.
    """
    model = make_model(seed, hidden=hidden)
    velocity, left = torch.zeros_like(parameters(model)), torch.zeros_like(parameters(model))
    step = 0
    for epoch in range(epochs):
        for x, y in batches(data, node, batch_size, epoch):
            with node.compute(samples=len(x)):
                loss = bce_with_logits(model(x), y)
                velocity = momentum * velocity + gradient_of(loss, model)  # 1.
                left = left + velocity
            mean, sent = exchange(node, left, step)  # 2.
            left = left - sent
            velocity[sent != 0] = 0  # 3.
            sgd_step(model, mean, lr)
            node.record(loss=loss)
            step += 1
    return parameters(model)
