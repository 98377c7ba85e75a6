"""What every framework trains on: the course's rows in its order, and its first weights, as one file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..node.node import Node
from ..processes.run import run
from ..training.data import load_digits
from ..training.loss import bce_with_logits
from ..training.model import gradient, make_model, parameters, sgd_step
from ..training.shards import batches, epoch_order

BATCH_SIZE, LR, EPOCHS = 64, 0.1, 3


def write_task(folder: Path, epochs: int) -> None:
    """Put task.npz into ``folder``: x (4000, 784), y (4000, 1), order (epochs, 4000), weights (P,)."""
    data = load_digits().train
    order = np.stack([epoch_order(len(data), 0, epoch).numpy() for epoch in range(epochs)])
    weights = parameters(make_model(seed=0)).numpy()
    x, y = data.x.numpy(), data.y.numpy()
    np.savez(folder / "task.npz", x=x, y=y, order=order.astype(np.int32), weights=weights)


def worker(node: Node, epochs: int = EPOCHS) -> torch.Tensor:
    """The same training as the course does it: lab 05's worker. Returns the parameters, (P,)."""
    data, model = load_digits().train, make_model(seed=0)
    for epoch in range(epochs):
        for x, y in batches(data, node, BATCH_SIZE, epoch):
            with node.compute(samples=len(x)):
                loss = bce_with_logits(model(x), y)
                found = gradient(loss, model)
            node.all_reduce(found, op="mean")
            sgd_step(model, found, LR)
            node.record(loss=loss)
    return parameters(model)


@lru_cache(maxsize=4)
def ours(nodes: int, epochs: int = EPOCHS) -> Any:
    """The History of ``worker`` on ``nodes`` real processes: what the frameworks are compared with."""
    return run(worker, nodes, args=(epochs,), progress=False)
