"""What helps where clients' digits differ: remedies for two shards a client, three seeds each.

    python -m tools.sweeps.federated_bias        ten minutes

A server and 20 clients with 200 digits each, ten classes, 784 -> 64 -> 10; 20 rounds of half of them, five
epochs in batches of 20. Accuracy of the server's network on the test digits, in the mean of the last five
rounds, for it jumps. *common*: each client also has the same 20 digits, two of each class.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

import ddl_lab as lab
from ddl_lab.strategies.federated import FedAdam, federated
from ddl_lab.strategies.scaffold import scaffold
from ddl_lab.training.parts import Part

from . import write

CLIENTS, ROUNDS = 20, 20
DIGITS = lab.load_digits(classes=10)


def with_common(seed: int) -> list[Part]:
    """Two shards a client of all but 20 digits, and these 20 for everyone."""
    labels = DIGITS.train.labels
    first = torch.cat([(labels == digit).nonzero().flatten()[:2] for digit in range(10)])
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[first] = False
    common = DIGITS.train.part(first)
    return [part + common for part in lab.share_out(DIGITS.train.part(rest), CLIENTS, shards=2, seed=seed)]


def two_shards(seed: int) -> list[Part]:
    """Two pieces of the digits, sorted by label, a client."""
    return lab.share_out(DIGITS.train, CLIENTS, shards=2, seed=seed)


def drawn(seed: int, alpha: float | None) -> list[Part]:
    """Shards by chance, or with shares of the labels from a Dirichlet distribution."""
    return lab.share_out(DIGITS.train, CLIENTS, alpha=alpha, seed=seed)


def cases() -> Iterator[tuple[str, str, float, Any, Any]]:
    """(way, its own setting, the clients' lr, worker, shards)."""
    for lr in (0.1, 0.2, 0.4):
        yield "FedAvg", "", lr, federated, two_shards
        yield "SCAFFOLD", "", lr, scaffold, two_shards
    for lr in (0.2, 0.4):
        for mu in (0.1, 1.0):
            yield "FedProx", f"mu = {mu:g}", lr, partial(federated, mu=mu), two_shards
    for server in (0.01, 0.03):
        yield "FedAdam", f"server lr {server:g}", 0.2, partial(federated, rule=FedAdam(server)), two_shards
    yield "FedAvg, common digits", "", 0.2, federated, with_common
    yield "FedAvg, by chance", "", 0.2, federated, partial(drawn, alpha=None)
    for alpha in (1.0, 0.1, 0.03):
        yield "FedAvg, Dirichlet", f"alpha = {alpha:g}", 0.2, federated, partial(drawn, alpha=alpha)


def main() -> None:
    """Sweep, and write data/sweeps/federated_bias.csv."""
    torch.set_num_threads(1)
    rows = []
    for way, setting, lr, worker, shards in cases():
        for seed in range(3):
            settled = partial(worker, rounds=ROUNDS, lr=lr, seed=seed, test=DIGITS.test)
            history = lab.simulate(settled, CLIENTS + 1, args=(shards(seed),))
            last = history.metrics.accuracy[-5:].mean()
            sent = sum(history.bytes_sent) / 1e6 / ROUNDS
            row = {"way": way, "setting": setting, "lr": lr, "seed": seed}
            rows.append(row | {"accuracy": f"{last:.4f}", "mb_a_round": f"{sent:.2f}"})
        print(way, setting, lr, [row["accuracy"] for row in rows[-3:]], flush=True)
        write("federated_bias", rows)


if __name__ == "__main__":
    main()
