"""The cross-entropies, in logit space: of two classes by one logit, of k classes by k."""

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


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of a batch of k classes, in nats, a 0-d tensor.

    logits z: (b, k), k at least 2; labels y: int64 (b,), 0 to k - 1, as ``load_digits(classes=10)`` has
    them. The loss of a sample is -log softmax(z)_y = log(exp(z_1) + … + exp(z_k)) - z_y; its gradient
    is softmax(z) less one at y. Raises ValueError for shapes and types that don't fit.
    """
    if logits.dim() != 2 or logits.shape[1] < 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"cross_entropy: logits have shape {tuple(logits.shape)} and labels {tuple(labels.shape)}, "
            "expected (b, k) with k from 2 up, and (b,): try make_model(seed, outputs=10) and "
            "load_digits(classes=10)"
        )
    if labels.dtype != torch.int64:
        raise ValueError(f"cross_entropy: labels are {labels.dtype}, expected torch.int64: try labels.long()")
    return (logits.logsumexp(1) - logits.gather(1, labels[:, None])[:, 0]).mean()
