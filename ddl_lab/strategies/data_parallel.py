"""Synchronous data parallelism: every node has the whole model and a share of every batch.

What each function equals, and what a node sends in a step, S bytes being those of the gradient:

======================  ==================================================  ====================
function                the same numbers in one process                     bytes (ring)
======================  ==================================================  ====================
data_parallel           accumulating the n batches in rank order, to the    2(n-1)/n S
                        bit; one batch of n times the size, to rounding
weighted_parallel       the batch of all samples, to rounding, whatever     2(n-1)/n (S + 4)
                        the sizes of the shares
accumulating_parallel   n · every batches a step, to rounding               2(n-1)/n S, a step
with_backups            as data_parallel over the ranks that came first     S + 4 each way
======================  ==================================================  ====================

Goyal et al. 2017 (the learning rate and its warm-up), Li et al. 2020 (exchanges skipped while gradients
accumulate), Chen et al. 2016 (backup workers).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Samples, batches, endless


def data_parallel(
    node: Node, data: Samples, batch_size: int = 50, epochs: int = 5, lr: float = 0.1
) -> Tensor:
    """Train on equal shares; every rank returns the parameters, (P,).

    1. The gradient of this rank's batch. 2. The mean over all ranks. 3. The same step everywhere.
    """
    model = make_model(seed=0)
    for epoch in range(epochs):
        for x, y in batches(data, node, batch_size, epoch):
            with node.compute(samples=len(x)):
                loss = bce_with_logits(model(x), y)
                gradient = gradient_of(loss, model)  # 1.
            node.all_reduce(gradient, op="mean")  # 2.
            sgd_step(model, gradient, lr)  # 3.
            node.record(loss=loss)
    return parameters(model)


def weighted_mean(node: Node, gradient: Tensor, samples: int) -> Tensor:
    """The gradient over the samples of all ranks, from this rank's mean gradient (P,) over ``samples``.

    One all-reduce: the count travels behind the sum, as entry P, and divides it on arrival.
    """
    sums = torch.cat([samples * gradient, gradient.new_tensor([samples])])  # (P + 1,)
    node.all_reduce(sums, op="sum")
    return sums[:-1] / sums[-1]


def weighted_parallel(
    node: Node, data: Samples, batch_size: int = 50, epochs: int = 5, lr: float = 0.1
) -> Tensor:
    """As ``data_parallel``, exact for shares of unequal sizes: sample by sample, not rank by rank."""
    model = make_model(seed=0)
    for epoch in range(epochs):
        for x, y in batches(data, node, batch_size, epoch):
            with node.compute(samples=len(x)):
                loss = bce_with_logits(model(x), y)
                gradient = gradient_of(loss, model)
            sgd_step(model, weighted_mean(node, gradient, len(x)), lr)
            node.record(loss=loss)
    return parameters(model)


def accumulating_parallel(
    node: Node,
    data: Samples,
    every: int,
    batch_size: int = 50,
    epochs: int = 5,
    lr: float = 0.1,
    skip: bool = True,
) -> Tensor:
    """As ``data_parallel`` with ``every`` batches a rank to each step; every rank returns (P,).

    ``skip``: one exchange a step, of what has accumulated. Otherwise each batch's gradient is exchanged at
    once and accumulates afterwards: the same up to rounding, for ``every`` times the bytes. Batches at an
    epoch's end that don't fill a step are left out.
    """
    model = make_model(seed=0)
    for epoch in range(epochs):
        total = torch.zeros_like(parameters(model))
        for k, (x, y) in enumerate(batches(data, node, batch_size, epoch), start=1):
            with node.compute(samples=len(x)):
                loss = bce_with_logits(model(x), y)
                gradient = gradient_of(loss, model) / every
            if not skip:
                node.all_reduce(gradient, op="mean")
            total += gradient
            if k % every == 0:
                if skip:
                    node.all_reduce(total, op="mean")
                sgd_step(model, total, lr)
                total.zero_()
                node.record(loss=loss)
    return parameters(model)


def warmed_up(step: int, times: float, over: int, lr: float = 0.1) -> float:
    """The learning rate of ``step`` (0, 1, …): from ``lr`` to ``times`` · lr, linearly, in ``over`` steps.

    Goyal et al. 2017, section 2.2; from step ``over`` on it stays.
    """
    return lr * (1 + (times - 1) * min(1.0, step / over)) if over else lr * times


def with_backups(
    node: Node, data: Samples, steps: int, backups: int, batch_size: int = 50, lr: float = 0.1
) -> Tensor | None:
    """Train with ``backups`` of the workers to spare; rank 0 collects and returns (P,), the others nothing.

    A step is over when all but ``backups`` gradients are there; one that comes later is dropped. A late
    worker isn't interrupted: it finishes what nobody will use, then goes on with the step of the others.
    Raises ``ValueError`` unless at least one worker is waited for.
    """
    enough = node.world_size - 1 - backups
    if backups < 0 or enough < 1:
        raise ValueError(
            f"{backups} backups of {node.world_size - 1} workers: it takes 0 or more, and fewer than workers"
        )
    model = make_model(seed=0)
    theta = parameters(model)
    if node.rank == 0:
        return _collect(node, theta, steps, enough, lr)
    task = theta.new_empty(len(theta) + 1)  # parameters, and the step that they are for; -1: go home
    for x, y in endless(data, node.group(range(1, node.world_size)), batch_size):
        node.recv(task, 0)
        if task[-1] < 0:
            break
        theta.copy_(task[:-1])
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)
            gradient = gradient_of(loss, model)
        node.record(loss=loss)
        node.send(torch.cat([gradient, task[-1:]]), 0)
    return None


def _collect(node: Node, theta: Tensor, steps: int, enough: int, lr: float) -> Tensor:
    """Rank 0's part: tasks out, the first ``enough`` gradients of each step in, the rest dropped."""
    idle, box = list(range(1, node.world_size)), theta.new_empty(len(theta) + 1)
    sendings = []
    for step in range(steps):
        task = torch.cat([theta, theta.new_tensor([step])])
        sendings += [node.isend(task, worker) for worker in idle]
        came: dict[int, Tensor] = {}
        while len(came) < enough:
            worker = node.recv(box)  # whoever comes first
            if box[-1] == step:
                came[worker] = box[:-1].clone()
            else:
                sendings.append(node.isend(task, worker))  # late: dropped, and on with this step
        total = torch.zeros_like(theta)
        for worker in sorted(came):  # in rank order: the same bits whoever came first
            total += came[worker]
        theta.add_(total / enough, alpha=-lr)
        idle = list(came)
        node.record(used=enough)
    idle += [node.recv(box) for _ in range(node.world_size - 1 - len(idle))]  # the last ones at work
    sendings += [node.isend(torch.full_like(box, -1.0), worker) for worker in idle]
    for sending in sendings:
        sending.wait()
    return theta
