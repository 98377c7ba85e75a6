"""What the virtual clock costs: a simulation against the same arithmetic in a plain loop; its scale.

``STEPS_OF_1024=100 python -m benchmarks simulation`` runs the large comparison in full length (minutes).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

import ddl_lab as lab
from ddl_lab.node.node import Node
from ddl_lab.training.data import Digits

from .table import Row, medians, seconds

BATCH = 8
STEPS_OF_1024 = int(os.environ.get("STEPS_OF_1024", "10"))  # with 100 the nodes' start weighs less
EVENT_NODES, EVENT_ROUNDS = 64, 200
MANY, PARAMETER_BYTES = 5_000, 4 * 201_217


def worker(node: Node, digits: Digits, batch_size: int, steps: int) -> None:
    """Each step: this node's batch, an all-reduce of the gradient, the same update everywhere."""
    model, done = lab.make_model(seed=0), 0
    for epoch in range(steps):
        for x, y in lab.batches(digits.train, node, batch_size, epoch=epoch):
            with node.compute(samples=len(x)):
                gradient = lab.gradient(lab.bce_with_logits(model(x), y), model)
            node.all_reduce(gradient, op="mean")
            lab.sgd_step(model, gradient, lr=0.1)
            done += 1
            if done == steps:
                return


def plain_loop(nodes: int, steps: int) -> None:
    """The same batches, gradients, sums in rank order and steps, over models of their own."""
    digits = lab.load_digits()
    models = [lab.make_model(seed=0) for _ in range(nodes)]
    places = [SimpleNamespace(rank=r, world_size=nodes) for r in range(nodes)]
    done, epoch = 0, 0
    while done < steps:
        shards = [lab.batches(digits.train, place, BATCH, epoch=epoch) for place in places]
        for batches in zip(*shards, strict=True):
            gradients = [
                lab.gradient(lab.bce_with_logits(model(x), y), model)
                for model, (x, y) in zip(models, batches, strict=True)
            ]
            step_together(models, gradients)
            done += 1
            if done == steps:
                return
        epoch += 1


def step_together(models: Sequence[nn.Module], gradients: Sequence[Tensor]) -> None:
    """Sum the gradients in rank order, and take the same step with every model."""
    total = gradients[0].clone()
    for gradient in gradients[1:]:
        total += gradient
    total /= len(models)
    for model in models:
        lab.sgd_step(model, total, lr=0.1)


def one_thread(call: object) -> float:
    """Seconds of ``call`` with one torch thread, as the simulation has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return seconds(call)  # type: ignore[arg-type]
    finally:
        torch.set_num_threads(threads)


def ring(node: Node, rounds: int) -> None:
    """Send to the right, receive from the left; each node draws, so that all states must be swapped."""
    tensor, n = torch.rand(8), node.world_size
    calls = [lambda: node.send(tensor, (node.rank + 1) % n), lambda: node.recv(tensor, (node.rank - 1) % n)]
    for _ in range(rounds):
        for call in calls if node.rank % 2 else reversed(calls):
            call()


def linear(node: Node, steps: int) -> None:
    """784 -> 1 on 8 digits of its own, with a gradient by hand."""
    x, y = lab.load_digits().train.x[:BATCH].clone(), lab.load_digits().train.y[:BATCH].clone()
    weights = torch.zeros(784)
    for _ in range(steps):
        with node.compute(samples=BATCH):
            gradient = x.T @ (torch.sigmoid(x @ weights) - y.view(-1)) / BATCH  # (784,)
        node.all_reduce(gradient, op="mean")
        weights -= 0.1 * gradient


def quiet(node: Node) -> None:
    """No tensors: what a node occupies is the engine's."""
    for _ in range(10):
        with node.compute(samples=1):
            pass
        node.barrier()


def peak_bytes() -> int:
    """The most memory that this process has had. Linux's getrusage tells of its parent's as well."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def bytes_a_node(nodes: int) -> float:
    """What simulating ``quiet`` adds to the peak of a fresh process, over its nodes."""
    program = (
        "import ddl_lab as lab; from benchmarks import simulation as this; lab.simulate(this.quiet, 2); "
        "before = this.peak_bytes(); "
        f"lab.simulate(this.quiet, {nodes}); print((this.peak_bytes() - before) / {nodes})"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(told.stdout)


def against_the_loop(nodes: int, steps: int) -> Row:
    """Seconds of a simulation against those of the plain loop."""
    got = medians(
        {
            "ours": lambda: seconds(
                lambda: lab.simulate(worker, nodes, args=(lab.load_digits(), BATCH, steps))
            ),
            "loop": lambda: one_thread(lambda: plain_loop(nodes, steps)),
        }
    )
    what = f"simulate {nodes:,} nodes x {steps} steps of {BATCH} samples"
    ours, loop = got["ours"], got["loop"]
    return Row(what, f"{ours:.2f} s", f"plain loop {loop:.2f} s", ours / loop, 1.5, at_most=True)


def rows() -> Iterator[Row]:
    """64 and 1,024 nodes of the article's network; messages; very many nodes; memory."""
    yield against_the_loop(64, 20)
    yield against_the_loop(1024, STEPS_OF_1024)

    moved = 2 * EVENT_NODES * EVENT_ROUNDS
    took_s = medians({"": lambda: seconds(lambda: lab.simulate(ring, EVENT_NODES, args=(EVENT_ROUNDS,)))})[""]
    rate = moved / took_s
    what = f"simulate: sends and receives a second, {EVENT_NODES} nodes"
    yield Row(what, f"{rate:,.0f} /s", "50,000 /s asked for", rate / 50_000, 1.0)

    took_s = seconds(lambda: lab.simulate(linear, 10_000, args=(10,)))
    what = "simulate 10,000 nodes x 10 steps of 784 -> 1 (once)"
    yield Row(what, f"{took_s:.1f} s", "a minute asked for", took_s / 60, 1.0, at_most=True)

    a_node = bytes_a_node(MANY)
    what = f"simulate {MANY:,} nodes: memory of the engine, in parameter copies"
    shown = f"{PARAMETER_BYTES / 1e3:.0f} kB a copy"
    yield Row(what, f"{a_node / 1e3:.1f} kB a node", shown, a_node / PARAMETER_BYTES, 0.1, at_most=True)
