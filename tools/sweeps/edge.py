"""A small network alone, and taught by a large one: test accuracies by learning rate.

    python -m tools.sweeps.edge          some minutes

784 -> 8 -> 1, odd or even, 20 epochs of batches of 50, five seeds. Its teacher is 784 -> 256 -> 1, trained as
long at 0.3. What the small one learns from: labels; the teacher's probabilities at a temperature of 1 or 3
(the loss times its square, as is usual); or half of the latter and half labels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

import ddl_lab as lab

from . import write

DIGITS = lab.load_digits()
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # (x, y, logits) -> a loss


def from_labels(x: Tensor, y: Tensor, logits: Tensor) -> Tensor:
    """The usual loss."""
    return lab.bce_with_logits(logits, y)


def taught(
    teacher: torch.nn.Module, heat: float, share: float, x: Tensor, y: Tensor, logits: Tensor
) -> Tensor:
    """``share`` of it by the teacher's probabilities at this temperature, the rest by labels."""
    with torch.no_grad():
        soft = torch.sigmoid(teacher(x) / heat)
    by_teacher = heat**2 * lab.bce_with_logits(logits / heat, soft)
    return share * by_teacher + (1 - share) * from_labels(x, y, logits)


def trained(hidden: int, lr: float, seed: int, loss: Loss = from_labels, epochs: int = 20) -> torch.nn.Module:
    """A network after so many epochs."""
    model = lab.make_model(seed, hidden=hidden)
    for epoch in range(epochs):
        for x, y in lab.batches(DIGITS.train, None, 50, epoch, seed):
            lab.sgd_step(model, lab.gradient(loss(x, y, model(x)), model), lr)
    return model


def main() -> None:
    """Sweep, and write data/sweeps/edge.csv."""
    torch.set_num_threads(1)
    teacher = trained(256, 0.3, 0)
    rows: list[dict[str, Any]] = [
        {"way": "the teacher", "lr": 0.3, "seed": 0, "accuracy": lab.accuracy(teacher, DIGITS.test)}
    ]
    ways: dict[str, Loss] = {
        "alone": from_labels,
        "taught, T = 1": partial(taught, teacher, 1.0, 1.0),
        "taught, T = 3": partial(taught, teacher, 3.0, 1.0),
        "half taught, T = 3": partial(taught, teacher, 3.0, 0.5),
    }
    for way, loss in ways.items():
        for lr in (0.05, 0.1, 0.2, 0.5, 1.0):
            for seed in range(5):
                right = lab.accuracy(trained(8, lr, seed, loss), DIGITS.test)
                rows.append({"way": way, "lr": lr, "seed": seed, "accuracy": round(float(right), 4)})
            print(way, lr, [row["accuracy"] for row in rows[-5:]], flush=True)
        write("edge", rows)


if __name__ == "__main__":
    main()
