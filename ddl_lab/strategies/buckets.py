"""Buckets: gradients set out part by part while the backward pass goes on, as DistributedDataParallel has it.

A bucket's all-reduce starts where its part of the backward pass ends, so that only the last one has nothing
to hide behind (Li et al. 2020). Each part is a compute span, by whose end the virtual clock dates the start.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Samples, batches


def cut(model: nn.Sequential, bucket_bytes: float) -> list[nn.Sequential]:
    """The layers in parts, the last first; a part grows until its parameters have ``bucket_bytes``."""
    parts = [nn.Sequential()]
    for layer in reversed(model):
        held = sum(p.nbytes for p in parts[-1].parameters())
        if held >= max(1, bucket_bytes) and list(layer.parameters()):
            parts.append(nn.Sequential())
        parts[-1].insert(0, layer)
    return parts


def data_parallel_in_buckets(
    node: Node, data: Samples, batch_size: int = 50, epochs: int = 5, lr: float = 0.1,
    bucket_bytes: float = 25e6, model: nn.Sequential | None = None,
) -> Tensor:  # fmt: skip
    """As ``data_parallel``, of any ``model`` (None: the article's); every rank returns its parameters, (P,).

    1. Forward: a third of the arithmetic. 2. Backward, the last part first. 3. Its bucket, the gradient of
    that part, sets out to become the mean over all ranks. 4. When all are back, the same step everywhere.
    """
    model = make_model(seed=0) if model is None else model
    parts, theta = cut(model, bucket_bytes), parameters(model)
    for epoch in range(epochs):
        for x, y in batches(data, node, batch_size, epoch):
            ends = [x]  # of the parts, in the forward order
            with node.compute(samples=len(x) / 3):  # 1.
                for part in reversed(parts):
                    ends.append(part(ends[-1]))
                ends[-1] = loss = bce_with_logits(ends[-1], y)
            slope, buckets, under_way = None, [], []
            for part in parts:
                end, share = ends.pop(), len(parameters(part)) / len(theta)
                with node.compute(samples=len(x) * 2 / 3 * share):  # 2.
                    wanted = [tensor for tensor in (ends[-1], *part.parameters()) if tensor.requires_grad]
                    slope, *_ = found = torch.autograd.grad(end, wanted, slope)
                    buckets.append(torch.cat([g.reshape(-1) for g in found[ends[-1].requires_grad :]]))
                under_way.append(node.all_reduce(buckets[-1], op="mean", async_op=True))  # 3.
            for handle in under_way:
                handle.wait()
            sgd_step(model, torch.cat(buckets[::-1]), lr)  # 4.
            node.record(loss=loss)
    return theta
