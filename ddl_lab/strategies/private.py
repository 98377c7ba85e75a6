"""DP-SGD (Abadi et al. 2016): no digit moves the parameters by more than noise hides.

In every step each digit's own gradient is clipped to length C, and the sum gets Gaussian noise of deviation
sigma · C; digits join a step by chance, each by itself (Poisson sampling). What that is worth,
``training.privacy.epsilon`` tells.

The nodes share the noise: each adds a part of variance (sigma · C)^2 / n, and the sum has all of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Samples, poisson_batches


def clipped_sum(model: nn.Module, x: Tensor, y: Tensor, clip: float) -> Tensor:
    """The sum of all samples' gradients, each clipped to length ``clip``; x (b, 784), y (b, 1); (P,).

    A layer's gradient of one sample is an outer product, delta · (inputs, 1): its length is the product of
    both lengths, so that no sample's gradient is ever formed. For the course's network.
    """
    inner = model[0](x)  # type: ignore[index]
    active = inner.relu()
    logits = model[2](active)  # type: ignore[index]
    deltas = torch.autograd.grad(len(x) * bce_with_logits(logits, y), (inner, logits))
    layers = list(zip(deltas, (x, active.detach()), strict=True))
    squares = sum((delta**2).sum(1) * ((inputs**2).sum(1) + 1) for delta, inputs in layers)
    kept = (clip / squares.sqrt()).clamp(max=1)[:, None]  # (b, 1)
    parts = []
    for delta, inputs in layers:
        parts += [((kept * delta).T @ inputs).flatten(), (kept * delta).sum(0)]
    return torch.cat(parts)


def private(
    node: Node,
    data: Samples,
    steps: int,
    rate: float = 0.05,
    clip: float = 1.0,
    sigma: float = 1.0,
    lr: float = 1.0,
    hidden: int = 64,
    seed: int = 0,
) -> Tensor:
    """Train on n nodes; every rank returns the parameters, (P,).

    1. The sum of clipped gradients of this rank's share of a Poisson batch. 2. Its part of the noise. 3. The
    sum over all ranks. 4. The same step everywhere, over the size that a batch has on average.
    """
    model = make_model(seed, hidden=hidden)
    # the noise is part of the experiment: in earnest nobody may know its seed
    noise = torch.Generator().manual_seed(seed * node.world_size + node.rank)
    deviation = sigma * clip / node.world_size**0.5 if sigma else 0.0
    for x, y in poisson_batches(data, node, rate, steps, seed):
        with node.compute(samples=len(x)):
            total = clipped_sum(model, x, y, clip)  # 1.
            total.add_(torch.randn(len(total), generator=noise), alpha=deviation)  # 2.
        node.all_reduce(total, op="sum")  # 3.
        sgd_step(model, total, lr / (rate * len(data.x)))  # 4.
    return parameters(model)
