"""Other ways to do a stage's arithmetic: recomputing, a backward in two parts, a step after each backward."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from ..training.model import parameters
from .pipeline import Kept, Stages, Work


class Recomputing(Work):
    """Keeps only the inputs of its stages, and goes forward once more before it goes backward."""

    def forward(self, s: int, k: int, x: Tensor) -> Tensor:
        """What stage ``s`` makes of ``x``; keeps ``x`` alone."""
        with torch.no_grad():
            stage, x, out = self.through(self.stages[s], s, k, x)
        self.kept[s, k] = stage, x, torch.empty(0)  # in the place of an output
        return out

    def backward(self, s: int, k: int, g: Tensor | None) -> Tensor:
        """Forward again, then backward."""
        stage, x, _ = self.kept.pop((s, k))
        return self.back(s, *self.through(stage, s, k, x), g)


class Halves(Work):
    """A backward in two parts: by the input, which the stage before waits for, and later by the weights.

    Together they are ``backward`` to the bit. What a forward keeps is kept until the second part. Within a
    stage of several layers both go down the chain from the output; libraries keep the gradients between the
    layers instead (Qi et al. 2024).
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.halfway: dict[tuple[int, int], tuple[Kept, Tensor | None]] = {}

    def input(self, s: int, k: int, g: Tensor | None) -> Tensor:
        """From the gradient ``g`` by the stage's output to that by its input."""
        stage, x, out = self.kept.pop((s, k))
        self.halfway[s, k] = (stage, x, out), g
        return torch.autograd.grad(out, x, g, retain_graph=True)[0]

    def weights(self, s: int, k: int, g: Tensor | None = None) -> None:
        """The same by the stage's parameters, added to its gradient; the first part has kept ``g``."""
        (stage, _, out), g = self.halfway.pop((s, k))
        if s == self.last:
            self.losses.append(out.detach())
        parts = torch.autograd.grad(out, list(stage.parameters()), g)
        self.gradients[s] += torch.cat([part.reshape(-1) for part in parts])


class Asynchronous(Work):
    """Every micro-batch is a batch of its own: each stage takes a step at the end of each backward.

    With ``stash`` a forward works with a copy of the weights, which its backward gets to see again
    (PipeDream: Harlap et al. 2018). Without, the backward sees whatever the weights have become.
    ``delays``: by stage, for each backward, the steps taken since its forward. ``seen``: by stage and
    micro-batch, the weights of the forward, those when the backward began, and the gradient, (P,) each.
    """

    def __init__(
        self, stages: Stages, last: int, x: Tensor, y: Tensor, micros: int, lr: float, stash: bool
    ) -> None:
        super().__init__(stages, last, x, y, micros)
        self.lr, self.stash = lr, stash
        self.begun: dict[tuple[int, int], tuple[int, Tensor]] = {}
        self.delays: dict[int, list[int]] = {s: [] for s in stages}
        self.seen: dict[tuple[int, int], tuple[Tensor, Tensor, Tensor]] = {}

    def forward(self, s: int, k: int, x: Tensor) -> Tensor:
        """As ``Work``, with weights that stay as they are, or with those that will change."""
        stage = copy.deepcopy(self.stages[s]) if self.stash else self.stages[s]
        self.begun[s, k] = len(self.delays[s]), parameters(stage).clone()
        self.batch = len(x)  # the loss is this micro-batch's own mean
        self.kept[s, k] = self.through(stage, s, k, x)
        return self.kept[s, k][-1].detach()

    def backward(self, s: int, k: int, g: Tensor | None) -> Tensor:
        """As ``Work``, and a step of gradient descent."""
        steps, at_forward = self.begun.pop((s, k))
        weights = parameters(self.stages[s])
        at_backward = parameters(self.kept[s, k][0]).clone()
        self.gradients[s] = torch.zeros_like(weights)
        gx = super().backward(s, k, g)
        self.seen[s, k] = at_forward, at_backward, self.gradients[s]
        weights.add_(self.gradients[s], alpha=-self.lr)  # sgd_step would make autograd refuse what we show
        self.delays[s].append(len(self.delays[s]) - steps)
        return gx
