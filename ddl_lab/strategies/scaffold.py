"""SCAFFOLD: each client's steps are corrected by how its gradients differ from everyone's.

Between two answers a client descends on its own loss, not on the common one, and drifts. Client k keeps a
*control variate* c_k, its mean gradient in the last round that it took part in; the server keeps c, their
mean by rows. A local step is g - c_k + c. Both travel with the parameters: twice FedAvg's bytes. Karimireddy
et al. 2020 (their option II).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..node.node import Node
from ..training.model import accuracy, parameters
from ..training.parts import Part
from ..training.shards import Samples
from .federated import ask, chosen, network, train


def scaffold(
    node: Node,
    parts: Sequence[Part],
    rounds: int,
    share: float = 0.5,
    epochs: int = 5,
    batch_size: int | None = 20,
    lr: float = 0.1,
    test: Samples | None = None,
    hidden: int = 64,
    seed: int = 0,
) -> Tensor:
    """Train; rank 0 returns c and each client its c_k, (P,), behind the last parameters it knows: (2P,).

    1. The server sends parameters and c to the round's clients. 2. Each trains, its gradients corrected.
    3. Its new c_k is its mean gradient. 4. It answers how far both went, and the server moves by the means.
    """
    model = network(parts, node, hidden, seed)
    theta = parameters(model)
    control, both = torch.zeros_like(theta), torch.zeros(2 * len(theta))
    rows = [len(part) for part in parts]
    for number in range(rounds):
        ranks = chosen(len(parts), share, number, seed)
        if node.rank == 0:
            counts = [rows[rank - 1] for rank in ranks]
            mean = ask(node, torch.cat([theta, control]), ranks, counts)  # 1.
            theta.add_(mean[: len(theta)])  # 4.
            control.add_(mean[len(theta) :], alpha=sum(counts) / sum(rows))
            if test is not None:
                node.record(accuracy=accuracy(model, test))
        elif node.rank in ranks:
            node.recv(both, 0)
            start, common = both.chunk(2)
            theta.copy_(start)
            shift, mine = common - control, parts[node.rank - 1]
            steps = train(node, model, mine, epochs, batch_size, lr, number * epochs, shift.clone)  # 2.
            change = (start - theta) / (steps * lr) - common  # 3.
            node.send(torch.cat([theta - start, change]), 0)  # 4.
            control = control + change
    return torch.cat([theta, control])
