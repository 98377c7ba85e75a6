"""Sparse exchanges: a few entries of the vector travel, k = share · P of them, the rest stays.

=========  ==============================  =======================================
function   which entries                   bytes that a node sends (ring)
=========  ==============================  =======================================
top_k      each rank's own largest         (n-1) · 8k: a place (int32), a value
random_k   the same, by chance, on all     2(n-1)/n · 4k: all know the places
=========  ==============================  =======================================

Top-k is gathered, for each rank sends other places, so its bytes grow with n, and a dense all-reduce's
don't: it sends n·k/P of a dense one's. Stich, Cordonnier, Jaggi 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..node.node import Node


def how_many(vector: Tensor, share: float) -> int:
    """k: so many entries of ``vector`` (P,) are a ``share`` of it, one at least.

    Raises ``ValueError`` for a share that isn't above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share!r}: it takes a number above 0, and 1 at most, such as 0.01")
    return max(1, round(share * len(vector)))


def top_k(node: Node, vector: Tensor, step: int = 0, share: float = 0.01) -> tuple[Tensor, Tensor]:
    """Exchange each rank's k entries of the largest size; returns (mean, sent), both (P,).

    1. Places and values of this rank's. 2. Those of all ranks. 3. Added up, rank by rank.
    """
    n, k = node.world_size, how_many(vector, share)
    places = vector.abs().topk(k, sorted=False).indices.int()  # 1.
    values = vector[places]
    all_places, all_values = places.new_empty(n * k), values.new_empty(n * k)
    node.all_gather(all_places, places)  # 2.
    node.all_gather(all_values, values)
    mean, sent = torch.zeros_like(vector), torch.zeros_like(vector)
    for theirs, value in zip(all_places.split(k), all_values.split(k), strict=True):
        mean[theirs] += value  # 3. no place is twice in one rank's
    sent[places] = values
    return mean / n, sent


def random_k(
    node: Node, vector: Tensor, step: int = 0, share: float = 0.01, scaled: bool = False
) -> tuple[Tensor, Tensor]:
    """Exchange k entries, the same on all ranks, drawn anew each step; returns (mean, sent), both (P,).

    1. Every rank draws the same places, from ``step``. 2. So values alone travel, and are reduced.
    ``scaled``: values count P/k times, which makes the mean over all draws right (unbiased), and a memory
    of what is left explode.
    """
    k = how_many(vector, share)
    places = torch.randperm(len(vector), generator=torch.Generator().manual_seed(step))[:k]  # 1.
    values = vector[places] * (len(vector) / k if scaled else 1.0)
    mean, sent = torch.zeros_like(vector), torch.zeros_like(vector)
    sent[places] = values
    node.all_reduce(values, op="mean")  # 2.
    mean[places] = values
    return mean, sent
