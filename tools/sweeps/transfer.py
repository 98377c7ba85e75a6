"""What a network that has learned MNIST is worth on other people's digits, and one of 0 to 4 on 5 to 9.

    python -m tools.sweeps.transfer             a minute

Ten classes, 64 hidden units, five seeds, which also draw the few digits that are learned from. First 800
steps of 50 digits at rate 0.5; then 100 steps on all of the few, at several rates, from what was learned or
from a network that hasn't seen a digit. The accuracy is that on the new task's test digits; ``old``: that on
the first one's, afterwards.
"""

from __future__ import annotations

from typing import Any

import torch

import ddl_lab as lab
from ddl_lab.training.data import load_small_digits
from ddl_lab.training.shards import Samples, endless

from . import write

HIDDEN, SEEDS = 64, 5
MNIST, SMALL = lab.load_digits(classes=10), load_small_digits()


def few(split: Any, per_class: int, seed: int) -> Any:
    """``per_class`` rows of each label of ``split``, drawn by chance."""
    generator, rows = torch.Generator().manual_seed(seed), []
    for label in split.labels.unique():
        found = (split.labels == label).nonzero()[:, 0]
        rows.append(found[torch.randperm(len(found), generator=generator)[:per_class]])
    return split.part(torch.cat(rows))


def trained(model: torch.nn.Module, data: Samples, lr: float, steps: int, batch: int) -> None:
    """Steps of SGD, in place."""
    for _, (x, y) in zip(range(steps), endless(data, None, batch), strict=False):
        lab.sgd_step(model, lab.gradient(lab.cross_entropy(model(x), y), model), lr)


def fresh(seed: int, like: torch.nn.Module | None = None) -> torch.nn.Module:
    """A new network, or one with the parameters of ``like``."""
    model = lab.make_model(seed, outputs=10, hidden=HIDDEN)
    if like is not None:
        lab.parameters(model).copy_(lab.parameters(like))
    return model


def one_task(name: str, first: tuple[Any, Any], then: tuple[Any, Any]) -> list[dict[str, Any]]:
    """All rows of one task: ``first`` is learned, ``then`` follows; both are (train, test)."""
    rows: list[dict[str, Any]] = []

    def note(start: str, count: int, lr: float, seed: int, model: torch.nn.Module) -> None:
        new, old = (f"{lab.accuracy(model, test):.3f}" for test in (then[1], first[1]))
        row = {"task": name, "start": start, "per_class": count, "lr": lr, "seed": seed}
        rows.append(row | {"accuracy": new, "old": old})

    for seed in range(SEEDS):
        learned = fresh(seed)
        trained(learned, first[0], 0.5, 800, 50)
        note("learned", 0, 0.0, seed, learned)
        for count in (1, 5, 20, 80):
            for lr in (0.05, 0.1, 0.2, 0.4):
                for start in ("learned", "fresh"):
                    model = fresh(seed + 100, learned if start == "learned" else None)
                    data = few(then[0], count, seed)
                    trained(model, data, lr, 100, len(data))
                    note(start, count, lr, seed, model)
        print(name, seed, rows[-1], flush=True)
    return rows


def main() -> None:
    """Sweep, and write data/sweeps/transfer.csv."""
    torch.set_num_threads(1)
    low, high = (
        (MNIST.train.part(MNIST.train.labels // 5 == part), MNIST.test.part(MNIST.test.labels // 5 == part))
        for part in (0, 1)
    )
    rows = one_task("small digits", (MNIST.train, MNIST.test), (SMALL.train, SMALL.test))
    write("transfer", rows + one_task("5 to 9", low, high))


if __name__ == "__main__":
    main()
