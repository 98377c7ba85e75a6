"""Checkpoints: a file with all that a run needs to go on, which appears whole or not at all.

==================  ================================================================================
function            what it does
==================  ================================================================================
``stream``          a node's batches from any place in the data on, epoch after epoch
``momentum_steps``  some steps of training from a state, which it returns anew, to be saved
``write_whole``     a state as a file: beside the old one, onto the disk, in its place, with a digest
``read_whole``      the state in such a file; a file that isn't what was written is refused
``recovering``      trains, saves now and then, and goes on from what it finds when it starts
==================  ================================================================================

A state is a dict: ``theta`` and ``velocity``, both (P,); ``seen``, the samples that all nodes together have
had; ``chance`` (n, c), each rank's random state. With all four a run on as many nodes goes on to the bit.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ..node.node import Node
from ..training.loss import bce_with_logits
from ..training.model import gradient as gradient_of
from ..training.model import make_model, parameters, sgd_step
from ..training.shards import Batch, Samples, batches

State: TypeAlias = dict[str, Any]
DIGEST = hashlib.sha256().digest_size  # bytes at the start of a file


def stream(data: Samples, node: Node, batch: int, seen: int = 0) -> Iterator[Batch]:
    """This node's shares (x, y) of global batches of ``batch`` samples, from the ``seen``-th sample on.

    Without an end. ``batch``: of all nodes together; each has ``batch // n`` of them, or one more.
    """
    epoch, first = divmod(seen, len(data.x))
    while True:
        yield from batches(data, node, -(-batch // node.world_size), epoch, first=first)
        epoch, first = epoch + 1, 0


def momentum_steps(
    node: Node,
    data: Samples,
    state: State,
    steps: int,
    batch: int = 200,
    lr: float = 0.05,
    momentum: float = 0.9,
    noise: float = 0.0,
    hidden: int = 256,
) -> State:
    """Go ``steps`` steps on from ``state``, which may be empty; every rank returns the state then.

    1. What the state has is put in its place. 2. As ever, each digit with ``noise`` of its own (standard
    deviation) from torch's global generator. 3. All ranks' random states, gathered.
    """
    model = make_model(0, hidden=hidden)
    theta, velocity = parameters(model), torch.zeros_like(parameters(model))
    if "theta" in state:
        theta.copy_(state["theta"])  # 1.
    if "velocity" in state:
        velocity.copy_(state["velocity"])
    if "chance" in state and len(state["chance"]) == node.world_size:
        torch.set_rng_state(state["chance"][node.rank].clone())  # of a view it reads beyond the end
    seen = state.get("seen", 0)
    for x, y in islice(stream(data, node, batch, seen), steps):
        with node.compute(samples=len(x)):
            loss = bce_with_logits(model(x + noise * torch.randn_like(x) if noise else x), y)  # 2.
            gradient = gradient_of(loss, model)
        mean, samples = weighted_mean(node, gradient, len(x))
        seen += samples
        velocity.mul_(momentum).add_(mean)
        sgd_step(model, velocity, lr)
        node.record(loss=loss)
    chance = torch.get_rng_state()
    all_chance = chance.new_empty(node.world_size * len(chance))
    node.all_gather(all_chance, chance)  # 3.
    kept = {"theta": theta.clone(), "velocity": velocity, "seen": seen}
    return kept | {"chance": all_chance.view(node.world_size, -1)}


def weighted_mean(node: Node, gradient: Tensor, count: int) -> tuple[Tensor, int]:
    """Every rank's ``gradient`` (P,), a mean of ``count`` samples, averaged over all samples; how many.

    One all-reduce: the count rides along, so that shares needn't be equal.
    """
    message = torch.cat([gradient * count, gradient.new_tensor([count])])
    node.all_reduce(message, op="sum")
    return message[:-1] / message[-1], int(message[-1])


def write_whole(path: Path, state: State) -> None:
    """Write ``state`` to ``path``: whenever the process dies, there is the old file or the new one, whole.

    1. All bytes, with their SHA-256 in front, into a file beside it: a rename can't cross disks. 2. Onto the
    disk, before the name says that they are there. 3. The new name, in one act (POSIX rename). 4. The name
    onto the disk, too.
    """
    packed = io.BytesIO()
    torch.save(state, packed)
    data = packed.getvalue()
    beside = path.with_name(f"{path.name}.new")
    with beside.open("wb") as file:
        file.write(hashlib.sha256(data).digest() + data)  # 1.
        file.flush()
        os.fsync(file.fileno())  # 2.
    os.replace(beside, path)  # 3.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # 4.
    finally:
        os.close(folder)


def read_whole(path: Path) -> State:
    """The state in ``path``, which nobody's code can come out of (``weights_only``).

    Raises ``ValueError`` for a file whose bytes aren't those that were written, ``FileNotFoundError`` where
    there is none.
    """
    data = path.read_bytes()
    if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
        raise ValueError(f"{path.name} isn't what was written: its SHA-256 is another. Take an older one.")
    state: State = torch.load(io.BytesIO(data[DIGEST:]), weights_only=True)
    return state


def recovering(
    node: Node, data: Samples, path: Path, until: int, every: int = 10, save_s: float = 0.0, **options: Any
) -> Tensor:
    """Train until ``until`` samples are seen, a checkpoint each ``every`` steps; returns the parameters (P,).

    ``save_s``: what saving takes on a cluster's clock. ``options``: those of ``momentum_steps``.
    1. The last checkpoint, where there is one. 2. Nobody writes before all have read. 3. Some steps. 4. Rank
    0 saves for all, after the span: a node that dies within it has not saved.
    """
    state = read_whole(path) if path.exists() else {}  # 1.
    node.barrier()  # 2.
    while state.get("seen", 0) < until:
        state = momentum_steps(node, data, state, every, **options)  # 3.
        with node.compute(seconds=save_s):
            pass
        if node.rank == 0:
            write_whole(path, state)  # 4.
        node.barrier()
    theta: Tensor = state["theta"]
    return theta
