"""What helps 20 nodes that over-fit their own 200 digits, and what working together does: three seeds each.

    python -m tools.sweeps.federated_alone        some minutes

Ten classes, 784 -> 64 -> 10, 200 digits a node by chance, 40 epochs in batches of 20 at lr 0.1. Losses and
accuracies are means over the nodes; of the average and the vote of all networks, and of FedAvg's one network
(8 rounds of all nodes, 5 epochs each), they are the one's. Early stopping: the rate of the epoch that is best
on 40 of the 200 digits, which aren't trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import ddl_lab as lab
from ddl_lab.strategies.federated import federated
from ddl_lab.training.parts import Part

from . import write

NODES, EPOCHS, LR = 20, 40, 0.1
DIGITS = lab.load_digits(classes=10)
TEST = DIGITS.test


def shifted(x: Tensor, chance: torch.Generator) -> Tensor:
    """Each digit (b, 784) moved by one pixel at most, down and to the right."""
    moves = torch.randint(-1, 2, (2,), generator=chance).tolist()
    return x.view(-1, 28, 28).roll(moves, (1, 2)).reshape(-1, 784)


def alone(part: Part, seed: int, decay: float = 0.0, shifts: bool = False) -> list[nn.Module]:
    """One node's network after each epoch, copies."""
    model, chance = lab.make_model(seed, outputs=10, hidden=64), torch.Generator().manual_seed(seed)
    kept: list[nn.Module] = []
    for epoch in range(EPOCHS):
        for x, y in lab.batches(part, None, 20, epoch):
            seen = shifted(x, chance) if shifts else x
            step = lab.gradient(lab.cross_entropy(model(seen), y), model)
            lab.sgd_step(model, step + decay * lab.parameters(model), LR)
        copy = lab.make_model(seed, outputs=10, hidden=64)
        lab.parameters(copy).copy_(lab.parameters(model))
        kept.append(copy)
    return kept


def last(part: Part, seed: int, **options: Any) -> nn.Module:
    """The network after the last epoch."""
    return alone(part, seed, **options)[-1]


def told(model: nn.Module, part: Part) -> dict[str, float]:
    """Losses on this node's digits and on the test digits, and accuracy on these."""
    with torch.no_grad():
        train, test = (lab.cross_entropy(model(split.x), split.y).item() for split in (part, TEST))
    return {"train_loss": train, "test_loss": test, "accuracy": lab.accuracy(model, TEST)}


def stopped(part: Part, seed: int) -> nn.Module:
    """The network of the epoch that was best on the last 40 of its digits."""
    chosen = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))
    mixed = part.part(chosen)
    held = mixed.part(slice(160, None))
    return max(alone(mixed.part(slice(0, 160)), seed), key=lambda model: lab.accuracy(model, held))


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means of the nodes' numbers."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def together(models: list[nn.Module], vote: bool) -> dict[str, float]:
    """Test accuracy of all networks' mean probability, or of what most of them say."""
    with torch.no_grad():
        logits = torch.stack([model(TEST.x) for model in models])  # (nodes, 1000, 10)
    said = nn.functional.one_hot(logits.argmax(2), 10).sum(0) if vote else logits.softmax(2).mean(0)
    return {"accuracy": (said.argmax(1) == TEST.y).double().mean().item()}


def main() -> None:
    """Sweep, and write data/sweeps/federated_alone.csv."""
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    for seed in range(3):
        parts = lab.share_out(DIGITS.train, NODES, seed=seed)

        def each(make: Callable[[Part], nn.Module], parts: list[Part] = parts) -> dict[str, float]:
            return mean_of([told(make(part), part) for part in parts])

        plain = [alone(part, seed) for part in parts]
        after = {
            e: mean_of([told(way[e - 1], p) for way, p in zip(plain, parts, strict=True)]) for e in (5, 40)
        }
        one = lab.simulate(
            partial(federated, rounds=8, share=1.0, lr=LR, seed=seed), NODES + 1, args=(parts,)
        )
        common = lab.make_model(seed, outputs=10, hidden=64)
        lab.parameters(common).copy_(one.results[0])
        found = {
            "alone, 5 epochs": after[5],
            "alone, 40 epochs": after[40],
            "weight decay 0.001": each(partial(last, seed=seed, decay=0.001)),
            "weight decay 0.01": each(partial(last, seed=seed, decay=0.01)),
            "shifts of a pixel": each(partial(last, seed=seed, shifts=True)),
            "early stopping": each(partial(stopped, seed=seed)),
            "vote of 20": together([way[-1] for way in plain], vote=True),
            "average of 20": together([way[-1] for way in plain], vote=False),
            "FedAvg, 8 rounds": mean_of([told(common, part) for part in parts]),
        }
        for way, numbers in found.items():
            row = {"way": way, "seed": seed}
            rows.append(row | {k: f"{numbers[k]:.4f}" if k in numbers else "" for k in after[5]})
            print(rows[-1], flush=True)
        write("federated_alone", rows)


if __name__ == "__main__":
    main()
