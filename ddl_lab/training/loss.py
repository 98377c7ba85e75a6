"""The binary cross-entropy, in logit space."""

from __future__ import annotations

import torch


def bce_with_logits(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean binary cross-entropy of a batch, in nats, a 0-d tensor.

    logits z: (b, 1) or any shape, the score before the sigmoid; targets y: the same shape, 0 to 1.
    With p = sigmoid(z) = 1 / (1 + exp(-z)),

        -y log p - (1 - y) log(1 - p)  =  log(exp(0) + exp(z)) - z y

    and the logarithm of a sum of exponentials is taken without forming an exponential that can
    overflow: max(z, 0) + log1p(exp(-|z|)), which is what ``logaddexp`` computes. The gradient is
    (p - y) / b, also at z = 0, where clamp or relu in place of the maximum give another one.
    Raises ValueError for differing shapes: (b, 1) against (b,) would broadcast to b * b losses.
    """
    if logits.shape != targets.shape:
        raise ValueError(
            f"bce_with_logits: logits have shape {tuple(logits.shape)} and targets "
            f"{tuple(targets.shape)}: give both the same, as in targets.reshape(logits.shape)"
        )
    losses = torch.logaddexp(logits, torch.zeros_like(logits)) - logits * targets
    return losses.mean()
