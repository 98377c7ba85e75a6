"""How many steps of SGD until the loss is below 0.25, by the size of the batch, at many learning rates.

    python -m tools.sweeps.critical_batch       some minutes

The network of lab 13 (64 hidden units), odd or even, three seeds. The loss is that of the first 1,000
training digits, looked at after every step; inf: not within 800 steps.
"""

from __future__ import annotations

import math
from typing import Any

import torch

import ddl_lab as lab
from ddl_lab.training.shards import endless

from . import write

TARGET, MOST, HIDDEN = 0.25, 800, 64
TRAIN = lab.load_digits().train
SEEN = TRAIN.part(slice(1000))


def steps_until(batch: int, lr: float, seed: int) -> float:
    """Steps until the loss is below TARGET, or inf."""
    model = lab.make_model(seed, hidden=HIDDEN)
    for step, (x, y) in zip(range(1, MOST + 1), endless(TRAIN, None, batch), strict=False):
        lab.sgd_step(model, lab.gradient(lab.bce_with_logits(model(x), y), model), lr)
        with torch.no_grad():
            loss = float(lab.bce_with_logits(model(SEEN.x), SEEN.y))
        if loss < TARGET:
            return step
        if not math.isfinite(loss):
            break
    return math.inf


def main() -> None:
    """Sweep, and write data/sweeps/critical_batch.csv."""
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for batch in (5, 10, 20, 40, 80, 160, 400, 1000, 2000, 4000):
        for lr in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
            for seed in range(3):
                steps = steps_until(batch, lr, seed)
                rows.append({"batch": batch, "lr": lr, "seed": seed, "steps": steps})
            print(batch, lr, [row["steps"] for row in rows[-3:]], flush=True)
    write("critical_batch", rows)


if __name__ == "__main__":
    main()
