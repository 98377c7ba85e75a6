"""Rounds until the server's network knows 85 % of the test digits: local work, on like and unlike shards.

    python -m tools.sweeps.federated_rounds        some minutes

A server and 20 clients with 200 digits each, ten classes, 784 -> 64 -> 10; a share of the clients in a round.
Shards by chance, or two pieces of the digits sorted by label a client. 0 rounds: not within the most
that were tried.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

import ddl_lab as lab
from ddl_lab.strategies.federated import federated
from ddl_lab.training.parts import Part

from . import write

CLIENTS, TARGET = 20, 0.85
DIGITS = lab.load_digits(classes=10)
# epochs, batch, most rounds, rates, share of the clients
WAYS: dict[str, tuple[int, int | None, int, tuple[float, ...], float]] = {
    "FedSGD": (1, None, 100, (0.25, 0.5, 1.0), 0.5),
    "E = 5, B = all": (5, None, 80, (0.1, 0.2, 0.5, 1.0), 0.5),
    "E = 1, B = 20": (1, 20, 60, (0.2, 0.4, 0.8), 0.5),
    "E = 5, B = 20": (5, 20, 40, (0.1, 0.2, 0.4), 0.5),
    "E = 20, B = 20": (20, 20, 25, (0.1, 0.2), 0.5),
    "C = 0.1": (5, 20, 100, (0.2,), 0.1),
    "C = 1": (5, 20, 40, (0.2,), 1.0),
}


def shards(kind: str, seed: int) -> list[Part]:
    """Each client's digits: by chance, or mostly of two classes."""
    return lab.share_out(DIGITS.train, CLIENTS, shards=2 if kind == "two shards" else None, seed=seed)


def accuracies(worker: Any, parts: list[Part], target: float) -> list[float]:
    """The server's accuracy after each round, until it reaches ``target`` or the worker ends."""
    seen = 0
    with lab.Simulation(partial(worker, test=DIGITS.test), len(parts) + 1, args=(parts,)) as simulation:
        while not simulation.advance(0.05):
            if simulation.history.recorders[0].steps > seen:
                found = simulation.history.metrics.accuracy
                if found.max() >= target:
                    break
                seen = len(found)
        return list(simulation.history.metrics.accuracy)


def main() -> None:
    """Sweep, and write data/sweeps/federated_rounds.csv."""
    torch.set_num_threads(1)
    rows = []
    for kind in ("by chance", "two shards"):
        for way, (epochs, batch, most, rates, share) in WAYS.items():
            for lr in rates:
                for seed in range(3):
                    options: dict[str, Any] = {
                        "rounds": most,
                        "share": share,
                        "epochs": epochs,
                        "batch_size": batch,
                    }
                    worker = partial(federated, lr=lr, seed=seed, **options)
                    found = accuracies(worker, shards(kind, seed), TARGET)
                    reached = [number + 1 for number, right in enumerate(found) if right >= TARGET]
                    steps = epochs * (1 if batch is None else 200 // batch)
                    rows.append(
                        {
                            "shards": kind,
                            "way": way,
                            "share": share,
                            "steps": steps,
                            "lr": lr,
                            "seed": seed,
                            "rounds": reached[0] if reached else 0,
                            "most": most,
                        }
                    )
                print(kind, way, lr, [row["rounds"] for row in rows[-3:]], flush=True)
                write("federated_rounds", rows)


if __name__ == "__main__":
    main()
