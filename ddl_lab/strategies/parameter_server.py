"""The synchronous parameter server: rank 0 keeps the parameters, all others compute gradients for it.

In a step every worker pulls the parameters, runs forward and backward on a batch of its own, and pushes
its gradient; the server adds all gradients in rank order and takes one step. So its numbers are those of
data parallelism by all-reduce, and of one process that accumulates the workers' batches, to the bit.

With w workers, S bytes of parameters, c seconds of computing, a message of m bytes in a + b m seconds,
and links that carry one message at a time in each direction (LogGP: Alexandrov et al. 1995):

==================  ==========================  =========================================
function            seconds a step              bytes that a node sends in a step
==================  ==========================  =========================================
parameter_server    c + 2a + (w+1) bS           server w S, worker S
sharded_servers     c + 2a + (w/k + 1) bS       each of k servers w S / k, worker S
every_node_serves   c + 2a + 2(w-1)/w bS        2(w-1)/w S, as in a ring
==================  ==========================  =========================================

exact where computing takes equally long everywhere and slices are equal; the first step of k servers
takes (1 - 1/k) bS more, until they have fallen into their stagger. Sharded: Li et al. 2014.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from os import PathLike

import torch
from torch import Tensor, nn

from ..counted import counted
from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Batch, Place, Samples, endless


def shard(data: Samples, workers: Place, batch_size: int, steps: int, first: int = 0) -> Iterator[Batch]:
    """This worker's batches of steps ``first`` to ``steps`` - 1, one epoch after another.

    ``workers``: the node among the workers alone, ``node.group`` of their ranks.
    """
    return islice(endless(data, workers, batch_size), first, steps)


def one_round(node: Node, theta: Tensor, workers: Iterable[int]) -> Tensor:
    """What a server does in a step: answer every pull, await every push; returns the mean gradient (P,).

    ``theta``: float32 (P,), the parameters it keeps. ``isend`` doesn't wait until a worker takes its
    copy: all pulls are on their way at once. Gradients are added in rank order.
    """
    workers = list(workers)
    pulls = [node.isend(theta, worker) for worker in workers]
    total, box = torch.zeros_like(theta), torch.empty_like(theta)
    for worker in workers:
        node.recv(box, worker)
        total += box
    for pull in pulls:
        pull.wait()  # long since taken: who has pushed has pulled
    return total / len(workers)


def work(node: Node, model: nn.Module, mine: Iterable[Batch]) -> None:
    """A worker's part: 1. pull, 2. forward, 3. backward, 4. push, for every batch of ``mine``."""
    theta = parameters(model)
    for x, y in mine:
        node.recv(theta, 0)  # 1.
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)  # 2.
            gradient = gradient_of(loss, model)  # 3.
        node.send(gradient, 0)  # 4.
        node.record(loss=loss)


def parameter_server(
    node: Node, data: Samples, steps: int, batch_size: int = 50, lr: float = 0.1
) -> Tensor | None:
    """Train with rank 0 as the server; it returns the parameters (P,), the workers nothing.

    Raises ``ValueError`` where there is no worker, on a single node.
    """
    model, workers = make_model(seed=0), range(1, node.world_size)
    _check_workers(node, 1)
    if node.rank:
        work(node, model, shard(data, node.group(workers), batch_size, steps))
        return None
    theta = parameters(model)
    for _ in range(steps):
        sgd_step(model, one_round(node, theta, workers), lr)
    return theta


def keeping_server(
    node: Node,
    data: Samples,
    first: int,
    steps: int,
    path: str | PathLike[str],
    lr: float = 0.1,
    momentum: float = 0.9,
) -> Tensor | None:
    """As ``parameter_server``, with momentum: v = momentum v + g, theta = theta - lr v. Only rank 0 has v.

    Runs steps ``first`` to ``steps`` - 1 of batches of 50, and saves parameters, v and step at ``path``;
    where ``first`` isn't 0 it begins with what lies there, which must be that step's (``ValueError``).
    """
    model, workers = make_model(seed=0), range(1, node.world_size)
    _check_workers(node, 1)
    if node.rank:
        work(node, model, shard(data, node.group(workers), 50, steps, first))
        return None
    theta = parameters(model)
    velocity = torch.zeros_like(theta)
    if first:
        kept = torch.load(path, weights_only=True)
        if kept["step"] != first:
            raise ValueError(f"the checkpoint is of step {kept['step']}, and step {first} was asked")
        theta.copy_(kept["parameters"])
        velocity.copy_(kept["velocity"])
    for _ in range(first, steps):
        velocity.mul_(momentum).add_(one_round(node, theta, workers))
        sgd_step(model, velocity, lr)
    torch.save({"parameters": theta, "velocity": velocity, "step": steps}, path)
    return theta


def work_in_slices(node: Node, model: nn.Module, mine: Iterable[Batch], servers: int) -> None:
    """A worker's part where ranks 0 to ``servers`` - 1 keep a slice each: pull all, push each its own."""
    theta = parameters(model)
    for x, y in mine:
        for server, part in enumerate(theta.tensor_split(servers)):
            node.recv(part, server)  # 1. straight into its place
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)  # 2.
            parts = gradient_of(loss, model).tensor_split(servers)  # 3.
        pushes = [node.isend(part, server) for server, part in enumerate(parts)]  # 4.
        for push in pushes:
            push.wait()
        node.record(loss=loss)


def sharded_servers(
    node: Node, data: Samples, steps: int, servers: int, batch_size: int = 50, lr: float = 0.1
) -> Tensor | None:
    """Train with ranks 0 to ``servers`` - 1 as servers; each returns its slice, the workers nothing.

    Slices are those of ``tensor_split``: they differ by one parameter at most, the larger ones first.
    Raises ``ValueError`` where no rank is left to work.
    """
    model, workers = make_model(seed=0), range(servers, node.world_size)
    _check_workers(node, servers)
    if node.rank >= servers:
        work_in_slices(node, model, shard(data, node.group(workers), batch_size, steps), servers)
        return None
    part = parameters(model).tensor_split(servers)[node.rank]
    for _ in range(steps):
        part.add_(one_round(node, part, workers), alpha=-lr)
    return part


def every_node_serves(node: Node, data: Samples, steps: int, batch_size: int = 50, lr: float = 0.1) -> Tensor:
    """Train with every rank as a worker and as the server of its own slice; all return theta (P,).

    1. Compute a gradient. 2. Push each slice of it to the slice's server, which adds in rank order and
    takes the step: a reduce-scatter. 3. Send the own slice to all: an all-gather.
    """
    model, n, rank = make_model(seed=0), node.world_size, node.rank
    theta = parameters(model)
    slices, others = theta.tensor_split(n), [(rank + k) % n for k in range(1, n)]
    for x, y in shard(data, node, batch_size, steps):
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x), y)
            parts = gradient_of(loss, model).tensor_split(n)  # 1.
        pushes = [node.isend(parts[peer], peer) for peer in others]  # 2., each begins with another peer
        total, box = torch.zeros_like(parts[rank]), torch.empty_like(parts[rank])
        for src in range(n):
            if src != rank:
                node.recv(box, src)
            total += parts[rank] if src == rank else box
        slices[rank].add_(total / n, alpha=-lr)
        pulls = [node.isend(slices[rank], peer) for peer in others]  # 3.
        for peer in others:
            node.recv(slices[peer], peer)
        for sending in pushes + pulls:
            sending.wait()
        node.record(loss=loss)
    return theta


def _check_workers(node: Node, servers: int) -> None:
    if not 0 < servers < node.world_size:
        raise ValueError(
            f"of {counted(node.world_size, 'node')} {servers} would serve: it takes at least one server "
            "and one worker"
        )
