"""Lab 14's rules of aggregation against liars, nan and skewed shards, three seeds each: test accuracy.

    python -m tools.sweeps.liars        a minute or two

Nine simulated nodes, 50 digits each a step, 32 steps at 0.2, 64 hidden units; who holds which
digits is drawn from the seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

import ddl_lab as lab
from ddl_lab.strategies import robust
from ddl_lab.training.parts import Part

from . import write

NODES, HIDDEN, DIGITS = 9, 64, lab.load_digits()


def shout(rank: int, step: int, gradient: torch.Tensor, liars: int = 1) -> torch.Tensor:
    """Ten times the gradient, uphill, from the first ``liars`` nodes."""
    return -10 * gradient if rank < liars else gradient


def sick(rank: int, step: int, gradient: torch.Tensor) -> torch.Tensor:
    """Nothing but nan, once, from one node."""
    return torch.full_like(gradient, torch.nan) if (rank, step) == (4, 5) else gradient


def cases(seed: int) -> Iterator[tuple[str, list[Part], robust.Lie, int]]:
    """(what happens, who has which digits, what is sent, how many liars the rules reckon with)."""
    even = lab.share_out(DIGITS.train, NODES, seed=seed)
    skewed = lab.share_out(DIGITS.train, NODES, shards=1, seed=seed)
    yield "all honest", even, robust.honest, 1
    yield "one sends −10 g", even, shout, 1
    yield "four send −10 g", even, partial(shout, liars=4), 4
    yield "nan, once", even, sick, 1
    yield "honest, skewed data", skewed, robust.honest, 1


def rules(liars: int) -> dict[str, robust.Rule]:
    """By name; Krum takes more than 2f + 2 nodes, so f is 3 at most of nine."""
    return {
        "mean": robust.mean,
        "Krum": partial(robust.krum, liars=min(liars, 3)),
        "median": robust.median,
        "trimmed mean": partial(robust.trimmed_mean, liars=liars),
    }


def main() -> None:
    """Sweep, and write data/sweeps/liars.csv."""
    torch.set_num_threads(1)
    rows = []
    for seed in range(3):
        for name, shares, lie, liars in cases(seed):
            for rule, combine in rules(liars).items():
                worker = partial(robust.aggregated, hidden=HIDDEN)
                theta = lab.simulate(worker, NODES, args=(shares, combine, lie)).results[0]
                model = lab.make_model(seed=0, hidden=HIDDEN)
                lab.parameters(model).copy_(theta)
                accuracy = lab.accuracy(model, DIGITS.test)
                rows.append({"case": name, "rule": rule, "seed": seed, "accuracy": f"{accuracy:.3f}"})
            print(name, seed, [row["accuracy"] for row in rows[-4:]], flush=True)
    write("liars", rows)


if __name__ == "__main__":
    main()
