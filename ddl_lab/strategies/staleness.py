"""Asynchronous training: a server that applies gradients as they come, measures their staleness, bounds it.

Rank 0 is the server, all others are workers. Each message of parameters carries their *version*, how many
gradients are in them; each gradient returns with the version that it was computed at. Staleness is the
difference when it is applied, so it is measured, whatever caused it.

==================  ===================================  ============================================
function            the server answers a worker          staleness
==================  ===================================  ============================================
synchronous         when it has a gradient of everyone   0
asynchronous        at once                              w - 1 in the mean, for w workers at any speeds
bounded             when it is at most ``bound`` clocks  0 for ``bound`` 0, which is synchronous to the
                    ahead of the slowest                 bit; none of the others' for a bound of infinity
==================  ===================================  ============================================

Each gradient counts for ``lr``, so a synchronous round of w gradients is a step of lr on their sum: w lr
on their mean. Bounded: Ho et al. 2013, stale synchronous parallel. A rate by staleness: Zhang et al. 2016;
the form of ``aware`` is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Batch, Samples, endless

Loss = Callable[[Tensor, Tensor], Tensor]  # of what the model says (b, 1) and y (b, 1): a scalar
Rate = Callable[[float, int], float]  # of lr and a gradient's staleness: what it is applied with
STOP = -1  # in the place of a version: no more work


def work(node: Node, model: nn.Module, mine: Iterable[Batch], loss_of: Loss = bce_with_logits) -> None:
    """A worker's part: 1. pull, 2. forward, 3. backward, 4. push, until the server says stop.

    It receives theta and a version, (P + 1,), and sends gradient, loss and that version, (P + 2,).
    """
    theta = parameters(model)
    box = torch.empty(len(theta) + 1)
    for x, y in mine:
        node.recv(box, 0)  # 1.
        if box[-1] == STOP:
            return
        theta.copy_(box[:-1])
        with node.compute(samples=len(x)):
            loss = loss_of(model(x), y)  # 2.
            gradient = gradient_of(loss, model)  # 3.
        node.send(torch.cat([gradient, torch.stack([loss.detach(), box[-1]])]), 0)  # 4.


def answer(node: Node, worker: int, theta: Tensor, version: int) -> None:
    """Send ``theta`` (P,) and its version; ``isend``, as the server waits for no single worker."""
    node.isend(torch.cat([theta, torch.tensor([float(version)])]), worker)


def plain(lr: float, staleness: int) -> float:
    """The learning rate of a gradient: the same for all."""
    return lr


def aware(lr: float, staleness: int) -> float:
    """The learning rate of a gradient: divided by its staleness, where that is above 1."""
    return lr / max(staleness, 1)


def serve(node: Node, model: nn.Module, updates: int, lr: float, rate: Rate = plain) -> Tensor:
    """The asynchronous server: 1. receive from whoever comes first, 2. apply, 3. answer that worker.

    Returns theta (P,) with ``updates`` gradients in it. What was under way by then, a gradient each of
    all workers but one, is received and dropped. ``rate(lr, staleness)``: what a gradient counts for.
    """
    theta, version, working = parameters(model), 0, node.world_size - 1
    box = torch.empty(len(theta) + 2)
    for worker in range(1, node.world_size):
        answer(node, worker, theta, version)
    while working:
        worker = node.recv(box, src=None)  # 1.
        if version < updates:
            staleness = version - int(box[-1])
            node.record(loss=box[-2], staleness=staleness, worker=worker)
            sgd_step(model, box[:-2], rate(lr, staleness))  # 2.
            version += 1
        over = version == updates
        answer(node, worker, theta, STOP if over else version)  # 3.
        working -= over
    return theta


def apply(
    node: Node, model: nn.Module, fresh: dict[int, Tensor], version: int, lr: float, gap: int = 0
) -> int:
    """Take one step with the messages ``fresh``, by worker, added in rank order; returns the new version."""
    total = torch.zeros_like(parameters(model))
    for worker, message in sorted(fresh.items()):
        total += message[:-2]
        node.record(loss=message[-2], staleness=version - int(message[-1]), worker=worker, gap=gap)
    sgd_step(model, total, lr)
    return version + len(fresh)


def serve_rounds(node: Node, model: nn.Module, updates: int, lr: float) -> Tensor:
    """The synchronous server: answers all, waits for all, until ``updates`` gradients or more are in."""
    theta, version, workers = parameters(model), 0, range(1, node.world_size)
    while version < updates:
        for worker in workers:
            answer(node, worker, theta, version)
        fresh = {worker: torch.empty(len(theta) + 2) for worker in workers}
        for worker in workers:
            node.recv(fresh[worker], worker)
        version = apply(node, model, fresh, version, lr)
    for worker in workers:
        answer(node, worker, theta, STOP)
    return theta


def serve_bounded(node: Node, model: nn.Module, updates: int, lr: float, bound: float) -> Tensor:
    """The server with a gate: 1. receive, 2. who may go on? 3. apply what came since, 4. answer those.

    A worker's clock counts its gradients. It may begin another one where it is at most ``bound``
    clocks ahead of the slowest. Nobody reads theta between two answers, so what comes meanwhile may
    wait for the next one, to be added in rank order. ``gap``: how far ahead an answered worker is.
    """
    theta, version, working = parameters(model), 0, node.world_size - 1
    clock = dict.fromkeys(range(1, node.world_size), 0)
    fresh: dict[int, Tensor] = {}  # not applied yet
    waiting: set[int] = set()  # not answered yet
    box = torch.empty(len(theta) + 2)
    for worker in clock:
        answer(node, worker, theta, version)
    while working:
        worker = node.recv(box, src=None)  # 1.
        fresh[worker] = box.clone()
        clock[worker] += 1
        waiting.add(worker)
        ahead = {w: clock[w] - min(clock.values()) for w in waiting}
        free = [w for w in waiting if ahead[w] <= bound]  # 2.
        if free and version < updates:
            version = apply(node, model, fresh, version, lr, max(ahead[w] for w in free))  # 3.
            fresh = {}
        over = version >= updates
        for worker in sorted(waiting if over else free):
            answer(node, worker, theta, STOP if over else version)  # 4.
            waiting.remove(worker)
            working -= over
    return theta


def synchronous(
    node: Node, data: Samples, updates: int, batch_size: int = 50, lr: float = 0.1
) -> Tensor | None:
    """Train with ``serve_rounds``; rank 0 returns theta (P,). Raises ``ValueError`` on a single node."""
    return _train(node, data, batch_size, lambda model: serve_rounds(node, model, updates, lr))


def asynchronous(
    node: Node, data: Samples, updates: int, batch_size: int = 50, lr: float = 0.1, rate: Rate = plain
) -> Tensor | None:
    """Train with ``serve``; rank 0 returns theta (P,). Raises ``ValueError`` on a single node."""
    return _train(node, data, batch_size, lambda model: serve(node, model, updates, lr, rate))


def bounded(
    node: Node,
    data: Samples,
    updates: int,
    batch_size: int = 50,
    lr: float = 0.1,
    bound: float = math.inf,
) -> Tensor | None:
    """Train with ``serve_bounded``; rank 0 returns theta (P,).

    Raises ``ValueError`` on a single node, and for a ``bound`` below 0, which would let nobody go on.
    """
    if not bound >= 0:
        raise ValueError(f"bound={bound!r}: it takes a number of clocks from 0 up; math.inf bounds nothing.")
    return _train(node, data, batch_size, lambda model: serve_bounded(node, model, updates, lr, bound))


def _train(
    node: Node, data: Samples, batch_size: int, served: Callable[[nn.Module], Tensor]
) -> Tensor | None:
    """Rank 0's model, ``served``; the others work on their shares."""
    if node.world_size < 2:
        raise ValueError("1 node would only serve: it takes a server and at least one worker.")
    model = make_model(seed=0)
    if node.rank == 0:
        return served(model)
    work(node, model, endless(data, node.group(range(1, node.world_size)), batch_size))
    return None


def stability_limit(delay: float) -> float:
    """The least lr * curvature at which steepest descent with a fixed ``delay`` no longer converges.

    x[t+1] = x[t] - lr * curvature * x[t - delay] converges below 2 sin(pi / (2 (2 delay + 1))): 2
    without a delay, 1 for one step, then about pi / 2 / (delay + 1/2). Textbook; the tests find it anew.
    """
    return 2 * math.sin(math.pi / (2 * (2 * delay + 1)))
