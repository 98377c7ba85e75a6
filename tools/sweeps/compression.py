"""Every way of lab 11 to compress a gradient, three seeds each: what the loss comes to, and bytes a step.

    python -m tools.sweeps.compression        some minutes

Four simulated nodes, 50 digits each a step, five epochs (100 steps). The loss is that of all 4,000 training
digits at the last parameters; inf where it left the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

import ddl_lab as lab
from ddl_lab.strategies.compression import Exchange, compressed, dense, momentum_corrected
from ddl_lab.strategies.low_rank import LowRank
from ddl_lab.strategies.quantised import half, qsgd
from ddl_lab.strategies.sign import scaled_sign
from ddl_lab.strategies.top_k import random_k, top_k

from . import write

NODES, STEPS = 4, 100
DATA = lab.load_digits().train
WAYS: dict[str, Exchange] = {
    "dense": dense,
    "bfloat16": half,
    **{f"top {share:.1%}": partial(top_k, share=share) for share in (0.1, 0.01, 0.001)},
    "random 1.0%": partial(random_k, share=0.01),
    "sign": scaled_sign,
    **{f"QSGD {bits} bits": partial(qsgd, bits=bits) for bits in (8, 4, 2)},
    **{f"PowerSGD {rank}": LowRank(rank) for rank in (1, 2, 4)},
    "PowerSGD 2, cold": LowRank(2, warm=False),
}


def cases() -> Iterator[tuple[str, str, float, Any]]:
    """(way, what is remembered, lr, worker)."""
    for name, exchange in WAYS.items():
        for memory in (False, True):
            if not (memory and name in ("dense", "bfloat16")):
                worker = partial(compressed, exchange=exchange, memory=memory)
                yield name, "memory" if memory else "nothing", 0.2, worker
    sparse = WAYS["top 1.0%"]
    for lr in (0.02, 0.05, 0.1, 0.2, 0.4):
        yield "dense", "momentum", lr, partial(compressed, exchange=dense, lr=lr, momentum=0.9)
        yield "top 1.0%", "momentum after", lr, partial(compressed, exchange=sparse, lr=lr, momentum=0.9)
        yield "top 1.0%", "momentum before", lr, partial(momentum_corrected, exchange=sparse, lr=lr)


def loss_at(theta: torch.Tensor) -> float:
    """The loss of all training digits."""
    model = lab.make_model(seed=0)
    lab.parameters(model).copy_(theta)
    with torch.no_grad():
        loss = float(lab.bce_with_logits(model(DATA.x), DATA.y))
    return loss if math.isfinite(loss) else math.inf


def main() -> None:
    """Sweep, and write data/sweeps/compression.csv."""
    torch.set_num_threads(1)
    rows = []
    for way, remembered, lr, worker in cases():
        for seed in range(3):
            history = lab.simulate(partial(worker, seed=seed), NODES, args=(DATA,))
            loss = loss_at(history.results[0])
            kilobytes = sum(history.bytes_sent) / NODES / STEPS / 1e3
            rows.append(
                {
                    "way": way,
                    "remembered": remembered,
                    "lr": lr,
                    "seed": seed,
                    "loss": f"{loss:.4g}",
                    "kb": f"{kilobytes:.1f}",
                }
            )
        print(way, remembered, lr, [row["loss"] for row in rows[-3:]], flush=True)
    write("compression", rows)


if __name__ == "__main__":
    main()
