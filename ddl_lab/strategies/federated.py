"""Federated learning: a server that talks to the clients it has chosen, and to no others.

Rank 0 keeps the parameters and has no data; rank k trains on parts[k - 1], which never leaves it. A round's
clients are drawn from (seed, round) alone, so that both sides know them without a message. A chosen client
gets P numbers and sends P; in a round of m clients the server sends and receives 4 m P bytes.

FedAvg (McMahan et al. 2017) trains for some epochs before it answers; FedSGD is its case of one step on all
rows (epochs=1, batch_size=None). With mu > 0 a client is drawn back to where it began (FedProx: Li et
al. 2020); a ``rule`` makes the server's step of the clients' mean (FedAdam: Reddi et al. 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ..counted import counted
from ..node.node import Node
from ..training.loss import bce_with_logits, cross_entropy
from ..training.model import accuracy, gradient, make_model, parameters, sgd_step
from ..training.parts import Part
from ..training.shards import Samples, batches

Rule: TypeAlias = Callable[[Tensor], Tensor]  # the clients' mean step (P,) -> the server's (P,)


def chosen(clients: int, share: float, number: int, seed: int = 0) -> list[int]:
    """The ranks of round ``number``, rising: share · clients of 1 … clients, one at least."""
    count = max(1, round(share * clients))
    # a third number parts these draws from the epochs' orders
    drawn = np.random.RandomState([seed, number, 2]).permutation(clients)[:count]
    return sorted(int(client) + 1 for client in drawn)


def network(parts: Sequence[Part], node: Node, hidden: int, seed: int) -> nn.Sequential:
    """The model that fits the targets: one logit for odd or even, ten for which digit.

    Raises ``ValueError`` unless there is one part for each client, and one client at least.
    """
    if not 1 <= len(parts) == node.world_size - 1:
        raise ValueError(
            f"{counted(len(parts), 'part')} for {counted(node.world_size, 'node')}: rank 0 serves, and each "
            "other rank is a client with a part of its own, one at least"
        )
    two_classes = parts[0].of.y.is_floating_point()
    return make_model(seed, outputs=1 if two_classes else 10, hidden=hidden)


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The mean loss of a batch, x (b, 784): of odd or even, y float (b, 1); of ten classes, y int64 (b,)."""
    return bce_with_logits(model(x), y) if y.is_floating_point() else cross_entropy(model(x), y)


def train(
    node: Node,
    model: nn.Module,
    mine: Samples,
    epochs: int,
    batch_size: int | None,
    lr: float,
    first: int = 0,
    added: Callable[[], Tensor | float] = float,
) -> int:
    """Descend on this client's own rows, epochs ``first`` and those after; returns the number of steps.

    ``batch_size``: None for all rows at once. ``added()`` is added to each gradient, (P,) or 0.
    """
    steps = 0
    for epoch in range(first, first + epochs):
        for x, y in batches(mine, None, batch_size or len(mine.x), epoch):
            with node.compute(samples=len(x)):
                step = gradient(loss_of(model, x, y), model) + added()
            sgd_step(model, step, lr)
            steps += 1
    return steps


def ask(node: Node, message: Tensor, ranks: Sequence[int], weights: Sequence[float]) -> Tensor:
    """What the server does in a round: ``message`` to these ranks, and the mean of their answers back.

    Answers have the message's shape, and count by ``weights``; they are added in rank order.
    """
    pulls = [node.isend(message, rank) for rank in ranks]
    total, box = torch.zeros_like(message), torch.empty_like(message)
    for rank, weight in zip(ranks, weights, strict=True):
        node.recv(box, rank)
        total.add_(box, alpha=weight / sum(weights))
    for pull in pulls:
        pull.wait()  # long since taken: who has answered has read it
    return total


def as_it_is(mean: Tensor) -> Tensor:
    """FedAvg's rule: the server's parameters become the mean of its clients'."""
    return mean


class FedAdam:
    """A rule: the clients' mean step is a gradient to Adam, whose two moments the server keeps."""

    def __init__(self, lr: float = 0.01, betas: tuple[float, float] = (0.9, 0.99), tau: float = 1e-3) -> None:
        self.lr, self.betas, self.tau = lr, betas, tau
        self.first: Tensor | float = 0.0
        self.second: Tensor | float = 0.0

    def __call__(self, mean: Tensor) -> Tensor:
        """The server's step, (P,)."""
        one, two = self.betas
        self.first = one * self.first + (1 - one) * mean
        self.second = two * self.second + (1 - two) * mean**2
        return self.lr * self.first / (self.second**0.5 + self.tau)


def federated(
    node: Node,
    parts: Sequence[Part],
    rounds: int,
    share: float = 0.5,
    epochs: int = 5,
    batch_size: int | None = 20,
    lr: float = 0.1,
    mu: float = 0.0,
    rule: Rule = as_it_is,
    test: Samples | None = None,
    hidden: int = 64,
    seed: int = 0,
) -> Tensor | None:
    """Train by FedAvg; rank 0 returns the parameters (P,), the clients nothing.

    1. The server sends its parameters to the round's clients. 2. Each trains on its own rows. 3. It answers
    how far it went. 4. The server takes the mean by rows, by ``rule``, and records accuracy on ``test``.
    """
    model = network(parts, node, hidden, seed)
    theta = parameters(model)
    for number in range(rounds):
        ranks = chosen(len(parts), share, number, seed)
        if node.rank == 0:
            mean = ask(node, theta, ranks, [len(parts[rank - 1]) for rank in ranks])  # 1.
            theta.add_(rule(mean))  # 4.
            if test is not None:
                node.record(accuracy=accuracy(model, test))
        elif node.rank in ranks:
            node.recv(theta, 0)
            start, mine = theta.clone(), parts[node.rank - 1]
            back = (lambda start=start: mu * (theta - start)) if mu else float
            train(node, model, mine, epochs, batch_size, lr, number * epochs, back)  # 2.
            node.send(theta - start, 0)  # 3.
    return None if node.rank else theta
