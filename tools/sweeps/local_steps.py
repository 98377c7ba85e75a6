"""Eight nodes that meet seldom, or only their neighbours, against those that meet every step: final losses.

    python -m tools.sweeps.local_steps          twenty minutes

Simulated; 25 digits a node and step, 200 steps, 64 hidden units, odd or even, three seeds. Shards: by
chance, or half of the nodes with odd digits only and half with even ones. The loss is that of all 4,000
training digits, for gossip at the mean of all nodes' parameters; inf where it left the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

import ddl_lab as lab
from ddl_lab.strategies.diloco import diloco
from ddl_lab.strategies.elastic import elastic
from ddl_lab.strategies.gossip import gossip
from ddl_lab.strategies.local_steps import local_sgd
from ddl_lab.strategies.optimised import optimised
from ddl_lab.training.optimisers import Adam, AdamW

from . import write
from .large_batches import DIGITS, HIDDEN, loss_and_accuracy

NODES, STEPS = 8, 200
PARITY = lab.share_out(DIGITS.train, NODES, shards=1, by=DIGITS.train.labels % 2)
SHARDS: dict[str, Any] = {"chance": DIGITS.train, "parity": PARITY}
Case = tuple[str, int, float, str, Callable[..., torch.Tensor]]  # way, every, lr, what else, worker


def cases() -> Iterator[Case]:
    """What is run with every seed, on both kinds of shards."""
    for lr in (0.2, 0.4, 0.8):
        for every in (1, 5, 20, 50, STEPS):
            yield "local SGD", every, lr, "", partial(local_sgd, every=every, lr=lr)
        yield "post-local", 20, lr, "after 100", partial(local_sgd, every=20, after=100, lr=lr)
        yield "gossip", 1, lr, "", partial(gossip, lr=lr)
        for alpha in (0.05, 0.1):
            yield "EASGD", 5, lr, f"alpha {alpha}", partial(elastic, every=5, alpha=alpha, lr=lr)
    yield "strangers", STEPS, 0.4, "", partial(local_sgd, every=STEPS, lr=0.4, seed_step=100)
    for lr in (0.001, 0.003, 0.006, 0.01, 0.02, 0.03):
        yield "Adam, own states", 1, lr, "", partial(optimised, optimiser=Adam(lr), local=True)
        for name, inner in (("Adam", Adam(lr)), ("AdamW", AdamW(lr))):
            yield name, 1, lr, "", partial(optimised, optimiser=inner)
            for outer_lr, momentum in ((1.0, 0.0), (0.7, 0.9)):
                worker = partial(diloco, every=20, inner=inner, outer_lr=outer_lr, outer_momentum=momentum)
                yield f"DiLoCo of {name}", 20, lr, f"outer {outer_lr:g}, {momentum:g}", worker


def main() -> None:
    """Sweep, and write data/sweeps/local_steps.csv."""
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for way, every, lr, more, worker in cases():
        for shards, data in SHARDS.items():
            for seed in range(3):
                run = lab.simulate(partial(worker, hidden=HIDDEN, seed=seed), NODES, args=(data, STEPS))
                theta = torch.stack(run.results).mean(0) if way == "gossip" else run.results[0]
                row = {"way": way, "every": every, "lr": lr, "more": more, "shards": shards, "seed": seed}
                rows.append(row | loss_and_accuracy(theta))
            print(way, every, lr, more, shards, [row["loss"] for row in rows[-3:]], flush=True)
    write("local_steps", rows)


if __name__ == "__main__":
    main()
