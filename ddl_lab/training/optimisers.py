"""Optimisers of one flat tensor: SGD, momentum, Adam, AdamW, LARS and LAMB, each a few lines.

An optimiser keeps its states itself: ``step(theta, gradient)`` changes ``theta`` (P,) in place. Give each
node an optimiser of its own; what travels to a node is its own copy, and nodes that see the same gradients
keep the same states to the bit, since every operation takes the elements one by one, or layer by layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn


class Optimiser(Protocol):
    """What the strategies need of an optimiser."""

    def step(self, theta: Tensor, gradient: Tensor) -> None:
        """One step in place: theta, gradient float32 (P,)."""


def layers_of(model: nn.Module) -> list[int]:
    """How many of the P parameters each weight and each bias has, in the order of ``parameters``."""
    return [leaf.numel() for leaf in model.parameters()]


class SGD:
    """theta -= lr · gradient; with ``momentum`` along a velocity, momentum · velocity + gradient."""

    def __init__(self, lr: float = 0.1, momentum: float = 0.0) -> None:
        self.lr, self.momentum = lr, momentum
        self.velocity: Tensor | None = None

    def step(self, theta: Tensor, gradient: Tensor) -> None:
        """One step in place: theta, gradient float32 (P,)."""
        if self.momentum:
            old = torch.zeros_like(theta) if self.velocity is None else self.velocity
            self.velocity = gradient = self.momentum * old + gradient
        theta.sub_(self.lr * gradient)


class Adam:
    """Adam (Kingma and Ba 2014): a mean of the gradients over the root of a mean of their squares.

    ``mean`` and ``square``: its states, (P,); ``count``: its steps so far.
    """

    def __init__(self, lr: float = 0.001, means: tuple[float, float] = (0.9, 0.999)) -> None:
        self.lr, self.means, self.count = lr, means, 0
        self.mean: Tensor | None = None
        self.square: Tensor | None = None

    def direction(self, gradient: Tensor) -> Tensor:
        """Take the gradient (P,) into the states; returns where to go, (P,), before the learning rate."""
        first, second = self.means
        if self.mean is None or self.square is None:
            self.mean, self.square = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self.count += 1
        self.mean.mul_(first).add_((1 - first) * gradient)
        self.square.mul_(second).add_((1 - second) * (gradient * gradient))
        mean, square = self.mean / (1 - first**self.count), self.square / (1 - second**self.count)
        return mean / (square.sqrt() + 1e-8)

    def step(self, theta: Tensor, gradient: Tensor) -> None:
        """One step in place: theta, gradient float32 (P,)."""
        theta.sub_(self.lr * self.direction(gradient))


class AdamW(Adam):
    """Adam with decoupled weight decay: each step first shrinks every parameter by ``lr * decay`` of itself.

    What shrinks them never enters the means of the gradients. The default decay is torch's.
    """

    def __init__(self, lr: float = 0.001, decay: float = 0.01) -> None:
        super().__init__(lr)
        self.decay = decay

    def step(self, theta: Tensor, gradient: Tensor) -> None:
        """One step in place: theta, gradient float32 (P,)."""
        theta.mul_(1 - self.lr * self.decay)
        super().step(theta, gradient)


def scaled_to(theta: Tensor, direction: Tensor, layers: Sequence[int]) -> Tensor:
    """``direction`` (P,), each layer's part made as long as that layer's parameters; returns (P,).

    ``layers``: the sizes of the parts, P in all. A part stays as it is where either length is 0.
    """
    parts = []
    for mine, way in zip(theta.split(list(layers)), direction.split(list(layers)), strict=True):
        length, stride = mine.norm(), way.norm()
        parts.append(way * (length / stride) if length > 0 and stride > 0 else way)
    return torch.cat(parts)


class LARS:
    """Momentum whose steps are as long as each layer is (You, Gitman and Ginsburg 2017), times lr.

    Without weight decay; the paper's trust coefficient is a factor of ``lr``. A loss that is c times as
    large gives the same steps.
    """

    def __init__(self, layers: Sequence[int], lr: float = 0.01, momentum: float = 0.9) -> None:
        self.layers, self.lr, self.momentum = tuple(layers), lr, momentum
        self.velocity: Tensor | None = None

    def step(self, theta: Tensor, gradient: Tensor) -> None:
        """One step in place: theta, gradient float32 (P,)."""
        old = torch.zeros_like(theta) if self.velocity is None else self.velocity
        self.velocity = self.momentum * old + scaled_to(theta, gradient, self.layers)
        theta.sub_(self.lr * self.velocity)


class LAMB(Adam):
    """Adam's directions, each layer's as long as the layer is, times lr; no decay (You et al. 2019)."""

    def __init__(self, layers: Sequence[int], lr: float = 0.01) -> None:
        super().__init__(lr)
        self.layers = tuple(layers)

    def step(self, theta: Tensor, gradient: Tensor) -> None:
        """One step in place: theta, gradient float32 (P,)."""
        theta.sub_(self.lr * scaled_to(theta, self.direction(gradient), self.layers))
