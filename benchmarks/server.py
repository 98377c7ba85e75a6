"""A parameter server with three workers: updates per second over shm, against the same worker over gloo."""

from __future__ import annotations

from collections.abc import Iterator

import torch

import ddl_lab as lab
from ddl_lab.node.messages import Handle
from ddl_lab.node.node import Node

from .table import Row, medians

UPDATES, BATCH = 600, 16


def updates_per_s(transport: str) -> float:
    """Updates that rank 0 applies per second; the others compute gradients at what they last pulled."""
    digits = lab.load_digits()

    def serve(node: Node, model: torch.nn.Module) -> float:
        gradient = torch.empty_like(lab.parameters(model))
        answers: dict[int, Handle] = {}  # it answers and goes on, as lab 07's server does
        began = node.now()
        for _ in range(UPDATES):
            source = node.recv(gradient)
            lab.sgd_step(model, gradient, lr=0.05)
            if source in answers:
                answers[source].wait()
            answers[source] = node.isend(lab.parameters(model).clone(), source)  # the next step writes to it
        return UPDATES / (node.now() - began)

    def worker(node: Node) -> float:
        model = lab.make_model(seed=0)
        if node.rank == 0:
            return serve(node, model)
        x, y = digits.train.x[:BATCH].clone(), digits.train.y[:BATCH].clone()
        for _ in range(UPDATES // (node.world_size - 1)):
            with node.compute(samples=BATCH):
                gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
            node.send(gradient, 0)
            node.recv(lab.parameters(model), 0)
        return 0.0

    return float(lab.run(worker, 4, transport=transport, progress=False).results[0])


def rows() -> Iterator[Row]:
    """One server, three workers."""
    got = medians({"shm": lambda: updates_per_s("shm"), "gloo": lambda: updates_per_s("gloo")})
    shm, gloo = got["shm"], got["gloo"]
    what = f"parameter server, 3 workers, {BATCH} samples"
    yield Row(what, f"{shm:,.0f} upd/s", f"gloo {gloo:,.0f} upd/s", shm / gloo, 2)
