"""How closely ``predict`` tells what ``run`` takes on this machine, calibrated by ``Cluster.measure``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

import ddl_lab as lab
from ddl_lab.node.node import Node
from ddl_lab.training.data import Digits

from .simulation import worker as each_step_together
from .table import REPEATS, Row

BATCH, STEPS = 64, 1_000  # a second: a fresh process takes tens of milliseconds longer in its first steps
MEASURED_S = 10.0  # README.md: in a few seconds
NODES = 2  # as many as the smallest laptop has cores


def synchronous(node: Node, digits: Digits, steps: int) -> None:
    """The worker that the simulation is timed with, at this batch size."""
    each_step_together(node, digits, BATCH, steps)


def parameter_server(node: Node, digits: Digits, steps: int) -> None:
    """Rank 0 applies each gradient as it comes and answers with the parameters."""
    model = lab.make_model(seed=0)
    weights = lab.parameters(model)
    if node.rank == 0:
        gradient = torch.empty_like(weights)
        for _ in range(steps * (node.world_size - 1)):
            source = node.recv(gradient)
            with node.compute(flops=2 * weights.numel()):
                lab.sgd_step(model, gradient, lr=0.1)
            node.send(weights, source)
        return
    done = 0
    while True:
        for x, y in lab.batches(digits.train, node, BATCH, epoch=done):
            with node.compute(samples=len(x)):
                gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
            node.send(gradient, 0)
            node.recv(weights, 0)
            done += 1
            if done == steps:
                return


def pipeline(node: Node, digits: Digits, steps: int) -> None:
    """The first layer on rank 0, the second on rank 1; four micro-batches a step (GPipe)."""
    layers = lab.make_model(seed=0)
    x, y = digits.train.x[:BATCH].clone(), digits.train.y[:BATCH].clone()
    hidden = torch.zeros(4, BATCH, 256)
    work = (first_stage if node.rank == 0 else second_stage)(layers, x, y)
    flops = 2 * BATCH * 784 * 256 if node.rank == 0 else 6 * BATCH * 256  # a product; all three
    for _ in range(steps // 4):
        for part in hidden:
            if node.rank == 1:
                node.recv(part, 0)
            with node.compute(flops=flops):
                work(part)
            (node.send if node.rank == 0 else node.isend)(part, 1 - node.rank)
        for part in hidden if node.rank == 0 else ():
            node.recv(part, 1)
            with node.compute(flops=2 * flops):  # forward once more, and the weights' gradient
                work(part, backward=True)


def first_stage(model: torch.nn.Module, x: Tensor, y: Tensor) -> Callable[..., None]:
    """784 -> 256: fills ``part`` with its activations, or takes their gradient from it."""
    layer = next(m for m in model.modules() if isinstance(m, torch.nn.Linear))

    def work(part: Tensor, backward: bool = False) -> None:
        if backward:
            torch.relu(layer(x)).backward(part)
        else:
            with torch.no_grad():
                part.copy_(torch.relu(layer(x)))

    return work


def second_stage(model: torch.nn.Module, x: Tensor, y: Tensor) -> Callable[..., None]:
    """256 -> 1: forward and backward at once; ``part`` becomes the gradient of the activations."""
    layer = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]

    def work(part: Tensor) -> None:
        inputs = part.clone().requires_grad_()
        lab.bce_with_logits(layer(inputs), y).backward()
        assert inputs.grad is not None
        part.copy_(inputs.grad)

    return work


WORKERS = {"synchronous": synchronous, "parameter server": parameter_server, "pipeline": pipeline}


def errors(cluster: lab.Cluster, steps: int = STEPS, repeats: int = REPEATS) -> dict[str, float]:
    """By worker: by how much the measured time differs from the predicted one, over the predicted one."""
    found = {}
    args = (lab.load_digits(), steps)  # loaded here: that takes a fresh process as long as the training
    for name, worker in WORKERS.items():
        forecast = lab.predict(worker, NODES, cluster, args=args)
        runs = [lab.run(worker, NODES, args=args, progress=False) for _ in range(repeats)]
        ratios = [forecast.against(run).ratio for run in runs]
        found[name] = statistics.median(ratios) - 1
    return found


def rows() -> Iterator[Row]:
    """The calibration itself; then three workers of two nodes each."""
    began = time.perf_counter()
    cluster = lab.Cluster.measure()
    took_s = time.perf_counter() - began
    what = "Cluster.measure: this machine is measured"
    yield Row(what, f"{took_s:.1f} s", f"{MEASURED_S:g} s asked for", took_s / MEASURED_S, 1.0, at_most=True)
    found = errors(cluster)
    median = statistics.median(map(abs, found.values()))
    shown = ", ".join(f"{error:+.0%}" for error in found.values())
    what = f"predict: {', '.join(found)} on {NODES} nodes, median error"
    yield Row(what, f"{median:.0%}", shown, median, 0.20, at_most=True)
