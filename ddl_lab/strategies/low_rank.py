"""A matrix as the product of two thin ones: PowerSGD (Vogels, Karimireddy, Jaggi 2019).

The first layer's gradient M (rows x columns) travels as P (rows x r) and Q (columns x r); what stands
behind it in the vector travels whole. Both are means of linear maps of M, so they are reduced, not gathered:
2(n-1)/n · 4 (r (rows + columns) + rest) bytes a node, whatever n. Exact where the mean has rank r or less.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..node.node import Node


class LowRank:
    """An exchange that keeps Q from step to step (``warm``), or draws it anew."""

    def __init__(self, rank: int = 2, rows: int = 256, columns: int = 784, warm: bool = True) -> None:
        if not 1 <= rank <= min(rows, columns):
            raise ValueError(f"rank={rank!r}: a {rows} x {columns} matrix has from 1 to {min(rows, columns)}")
        self.rank, self.rows, self.columns, self.warm = rank, rows, columns, warm
        self.q: Tensor | None = None  # (columns, r), the same on all ranks

    def __call__(self, node: Node, vector: Tensor, step: int = 0) -> tuple[Tensor, Tensor]:
        """Exchange a product of two thin matrices; returns (mean, sent), both (P,).

        1. P, the mean of M Q, made orthonormal. 2. Q, the mean of Mᵀ P, and the rest in the same message.
        """
        matrix, rest = vector.split([self.rows * self.columns, len(vector) - self.rows * self.columns])
        matrix = matrix.view(self.rows, self.columns)
        p = matrix @ self._first_q(step)
        node.all_reduce(p, op="mean")  # 1.
        p = torch.linalg.qr(p).Q
        mine = matrix.T @ p  # (columns, r)
        message = torch.cat([mine.flatten(), rest])
        node.all_reduce(message, op="mean")  # 2.
        self.q = message[: mine.numel()].view_as(mine).clone()
        mean = torch.cat([(p @ self.q.T).flatten(), message[mine.numel() :]])
        return mean, torch.cat([(p @ mine.T).flatten(), rest])

    def _first_q(self, step: int) -> Tensor:
        if self.warm and self.q is not None:
            return self.q
        return torch.randn(self.columns, self.rank, generator=torch.Generator().manual_seed(step))
