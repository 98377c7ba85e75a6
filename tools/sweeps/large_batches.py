"""Five optimisers, each at many learning rates, on batches of 50 to 2,000: the losses after ten epochs.

    python -m tools.sweeps.large_batches        some minutes

The network of lab 13 (64 hidden units), odd or even. Rates lie a factor 2 apart, with four seeds; those of
the two that lead on the largest batch, Adam and LAMB, a root of 2 apart there, with six. One process; the
loss is that of all 4,000 training digits at the last parameters, inf where it left the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

import ddl_lab as lab
from ddl_lab.strategies.optimised import optimised
from ddl_lab.training.optimisers import LAMB, LARS, SGD, Adam, Optimiser, layers_of

from . import write

EPOCHS, HIDDEN = 10, 64
DIGITS = lab.load_digits()
LAYERS = layers_of(lab.make_model(seed=0, hidden=HIDDEN))
KINDS: dict[str, tuple[Callable[[float], Optimiser], float, int]] = {  # how, lowest rate, doublings
    "SGD": (SGD, 0.05, 6),
    "momentum": (partial(SGD, momentum=0.9), 0.005, 7),
    "Adam": (Adam, 0.0005, 8),
    "LARS": (partial(LARS, LAYERS), 0.001, 8),
    "LAMB": (partial(LAMB, LAYERS), 0.001, 8),
}


def loss_and_accuracy(theta: torch.Tensor, hidden: int = HIDDEN) -> dict[str, str]:
    """The loss of all training digits, and the share of the test digits that are right."""
    model = lab.make_model(seed=0, hidden=hidden)
    lab.parameters(model).copy_(theta)
    with torch.no_grad():
        loss = float(lab.bce_with_logits(model(DIGITS.train.x), DIGITS.train.y))
    right = lab.accuracy(model, DIGITS.test)
    return {"loss": f"{loss if math.isfinite(loss) else math.inf:.4g}", "accuracy": f"{right:.3f}"}


def cases() -> Iterator[tuple[str, int, float, int]]:
    """(optimiser, batch, learning rate, seeds)."""
    for name, (_, least, doublings) in KINDS.items():
        for batch in (50, 200, 800, 2000) if name in ("SGD", "Adam") else (50, 2000):
            finer, seeds = (2, 6) if batch == 2000 and name in ("Adam", "LAMB") else (1, 4)
            for place in range(finer * doublings + 1):
                yield name, batch, float(f"{least * 2 ** (place / finer):.3g}"), seeds


def main() -> None:
    """Sweep, and write data/sweeps/large_batches.csv."""
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for name, batch, lr, seeds in cases():
        for seed in range(seeds):
            steps = EPOCHS * math.ceil(len(DIGITS.train) / batch)
            args = DIGITS.train, steps, KINDS[name][0](lr), batch, HIDDEN, seed
            theta = lab.simulate(optimised, 1, args=args).results[0]
            row = {"optimiser": name, "batch": batch, "lr": f"{lr:g}", "seed": seed}
            rows.append(row | loss_and_accuracy(theta))
        print(name, batch, lr, [row["loss"] for row in rows[-seeds:]], flush=True)
    write("large_batches", rows)


if __name__ == "__main__":
    main()
