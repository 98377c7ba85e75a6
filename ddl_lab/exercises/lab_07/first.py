"""A server of the first k gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...cluster.model import Cluster
from ...errors import DeadlockError
from ...history.history import History
from ...node.node import Node
from ..helpers import Answer, Wrong, on_nodes, same_shape
from ..machine import Exercise
from ..traffic import check_count


def _first_k(node, theta, k, steps, lr):  # type: ignore[no-untyped-def]
    box = torch.empty_like(theta)
    for _ in range(steps):
        total, came = torch.zeros_like(theta), []
        for _ in range(k):
            came.append(node.recv(box, src=None))  # whoever comes first
            total += box
        theta = theta - lr * total / k
        for worker in came:
            node.isend(theta, worker)
    return theta


SPEEDS = (1.0, 1.0, 0.61, 0.37, 0.23)  # of the server and four workers: no two arrive together


def _served(node: Node, answer: Answer, k: int, steps: int) -> Any:
    """Rank 0 serves with ``answer``; a worker's gradient is theta less its rank, until it reads nan."""
    theta, box = torch.tensor([5.0, -1.0, 0.5]), torch.empty(3)
    if node.rank == 0:
        got = answer(node, theta.clone(), k, steps, 0.5 if k % 2 else 0.3)
        for worker in range(1, node.world_size):
            node.recv(box, worker)  # the gradient that was under way
            node.isend(torch.full((3,), math.nan), worker)
        return got
    while not theta.isnan().any():
        with node.compute(samples=1):
            gradient = theta - node.rank
        node.send(gradient, 0)
        node.recv(theta, 0)
    return None


def _check_first(answer: Answer) -> str:
    for k in (1, 2, 3, 4):
        steps = 6
        cluster = Cluster(speeds=SPEEDS, latency_s=1e-4)
        ours = on_nodes(_served, 5, _first_k, k, steps, cluster=cluster)
        theirs = _run(answer, k, steps, cluster)
        asked, got = ours.results[0], theirs.results[0]
        same_shape(got, asked, "what your server returns")
        got = got.float()
        check_count(theirs, "messages", 0, k * steps + 4, {})  # and the four that end the check
        if not torch.allclose(got, asked, rtol=1e-5):
            _name_the_fault(got, asked, k, steps, cluster)
        check_count(theirs, "bytes", 0, (k * steps + 4) * 12, {})
    return "k = 1 to 4 of four workers: parameters, messages and bytes"


def _run(answer: Answer, k: int, steps: int, cluster: Cluster) -> History:
    try:
        return on_nodes(_served, 5, answer, k, steps, cluster=cluster)
    except DeadlockError as error:
        if "rank 0 waits in isend" not in str(error):
            raise
        raise Wrong(
            f"k = {k}: you answer workers that are still at their last batch, and they never take it; only "
            "those k whose gradients came wait for an answer"
        ) from None


def _name_the_fault(got: Tensor, asked: Tensor, k: int, steps: int, cluster: Cluster) -> None:
    told = f"k = {k}: your server ends at {got[0].item():.4g}, and {asked[0].item():.4g} was asked"
    for words, fault in FAULTS.items():
        wrong = on_nodes(_served, 5, fault, k, steps, cluster=cluster).results[0]
        if torch.allclose(got, wrong, rtol=1e-5):
            raise Wrong(f"{told}; {words}")
    raise Wrong(told)


def _summed(node: Node, theta: Tensor, k: int, steps: int, lr: float) -> Any:
    return _first_k(node, theta, k, steps, lr * k)


def _fixed(node: Node, theta: Tensor, k: int, steps: int, lr: float) -> Any:
    """Waits for ranks 1 to k, whoever comes."""
    box = torch.empty_like(theta)
    for _ in range(steps):
        total = torch.zeros_like(theta)
        for worker in range(1, k + 1):
            node.recv(box, worker)
            total += box
        theta = theta - lr * total / k
        for worker in range(1, k + 1):
            node.isend(theta, worker)
    return theta


def _at_once(node: Node, theta: Tensor, k: int, steps: int, lr: float) -> Any:
    """Answers each before the step is taken."""
    box = torch.empty_like(theta)
    for _ in range(steps):
        total = torch.zeros_like(theta)
        for _ in range(k):
            worker = node.recv(box)
            total += box
            node.isend(theta, worker)
        theta = theta - lr * total / k
    return theta


FAULTS: dict[str, Callable[..., Any]] = {
    "you took the sum of the k gradients, and their mean was asked": _summed,
    "you wait for ranks 1 to k: take whoever comes, with src=None": _fixed,
    "you answer before the step is taken, so workers read parameters without their gradient": _at_once,
}


first = Exercise(
    key="07.first",
    title="A server of the first k",
    difficulty=3,
    minutes=15,
    reference=_first_k,
    check=_check_first,
    hints=(
        "With k = 1 it is the server of section 1, with k = w the synchronous one.",
        "In each step: k times `node.recv(box, src=None)`; keep the ranks that it returns, and the sum.",
        "Take the step with the mean. Only then answer, with `isend`, those k workers and nobody else.",
    ),
)
