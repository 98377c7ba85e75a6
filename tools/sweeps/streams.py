"""A stream whose labels swap at half: eight nodes that average always, now and then or never, and one alone.

    python -m tools.sweeps.streams          some minutes

Simulated; 4 digits a node and step, 124 steps, 64 hidden units, odd or even until step 62 and the other way
round from there, eight seeds of the network and the order. Shares of digits that were right when they came,
of all nodes: in the last 20 steps before the swap, the first 10 after it, the next 20, the rest, and in all.
"""

from __future__ import annotations

from typing import Any

import torch

import ddl_lab as lab
from ddl_lab.strategies.streams import online

from . import write

STEPS, SWAP, SEEDS = 124, 62, 8
WAYS = {"one node": (1, 0), "apart": (8, 0), "every 16": (8, 16), "every 4": (8, 4), "in step": (8, 1)}
RATES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
PARTS = {
    "before": slice(SWAP - 20, SWAP),
    "first10": slice(SWAP, SWAP + 10),
    "next20": slice(SWAP + 10, SWAP + 30),
    "rest": slice(SWAP + 30, STEPS),
    "all": slice(STEPS),
}


def main() -> None:
    """Sweep, and write data/sweeps/streams.csv."""
    torch.set_num_threads(1)
    digits, rows = lab.load_digits().train, list[dict[str, Any]]()
    for way, (nodes, every) in WAYS.items():
        for lr in RATES:
            for seed in range(SEEDS):
                told = (digits, STEPS, every, SWAP, lr, 4, 64, seed)
                right = lab.simulate(online, nodes, args=told).metrics.groupby("step").right.mean()
                found = {part: round(float(right.iloc[steps].mean()), 4) for part, steps in PARTS.items()}
                rows.append({"way": way, "nodes": nodes, "every": every, "lr": lr, "seed": seed} | found)
            print(way, lr, [row["all"] for row in rows[-SEEDS:]], flush=True)
        write("streams", rows)


if __name__ == "__main__":
    main()
