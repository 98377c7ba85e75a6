"""What clipping and noise cost DP-SGD: the rate tuned for each pair of them, three seeds each.

    python -m tools.sweeps.federated_private        some minutes

Odd or even, 784 -> 64 -> 1, four nodes, 300 steps of Poisson batches of 200 of the 4,000 digits on average.
Accuracy on the test digits; epsilon at delta = 1e-4.
"""

from __future__ import annotations

import math
from functools import partial

import torch

import ddl_lab as lab
from ddl_lab.strategies.private import private
from ddl_lab.training.privacy import epsilon

from . import write

NODES, STEPS, RATE = 4, 300, 0.05
DIGITS = lab.load_digits()
RATES = {  # a clip of a tenth makes steps of a tenth
    math.inf: (0.1, 0.2, 0.5, 1.0),
    1.0: (0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
    0.1: (2.5, 5.0, 10.0, 20.0, 40.0, 80.0),
}


def main() -> None:
    """Sweep, and write data/sweeps/federated_private.csv."""
    torch.set_num_threads(1)
    rows = []
    for clip, rates in RATES.items():
        for sigma in (0.0, 1.0, 2.0, 4.0) if math.isfinite(clip) else (0.0,):
            for lr in rates:
                for seed in range(3):
                    worker = partial(private, rate=RATE, clip=clip, sigma=sigma, lr=lr, seed=seed)
                    theta = lab.simulate(worker, NODES, args=(DIGITS.train, STEPS)).results[0]
                    model = lab.make_model(seed, hidden=64)
                    lab.parameters(model).copy_(theta)
                    row: dict[str, object] = {"clip": clip, "sigma": sigma, "lr": lr, "seed": seed}
                    row["epsilon"] = f"{epsilon(RATE, sigma, STEPS):.2f}"
                    rows.append(row | {"accuracy": f"{lab.accuracy(model, DIGITS.test):.3f}"})
                print(clip, sigma, lr, [row["accuracy"] for row in rows[-3:]], flush=True)
        write("federated_private", rows)


if __name__ == "__main__":
    main()
