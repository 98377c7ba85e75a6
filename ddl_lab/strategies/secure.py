"""A sum of which the server learns the sum alone: masks that cancel (Bonawitz et al. 2016).

Numbers become whole ones, multiples of 2^-16, and are added modulo 2^32: there masks cancel *exactly*,
which floats would not. Each pair of clients has a seed that nobody else has; of what it makes the lower
rank adds, the higher subtracts. 4 bytes a number, as float32.

Two things are plainer here than in earnest: seeds go straight from client to client, and torch's generator is
no cipher. And the word of every partner of a lost client is needed, where a real protocol does with some.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from ..counted import counted
from ..node.node import Node

SCALE = 2**16  # steps in 1: sums must stay between -32,768 and 32,767
HALF = 2**31  # of the numbers modulo 2^32, as int32 has them


def whole(vector: Tensor) -> Tensor:
    """Multiples of 2^-16, rounded, as int32 (P,); raises ``ValueError`` for numbers out of its range."""
    scaled = (vector.double() * SCALE).round()
    if not bool((scaled.abs() < HALF).all()):  # nan isn't either
        raise ValueError(f"numbers must lie between ±{HALF // SCALE:,}: clip or scale the vector first")
    return scaled.to(torch.int32)


def mask(seed: Tensor, count: int) -> Tensor:
    """What a seed, int64 (1,), stands for: int32 (count,), every value equally likely."""
    generator = torch.Generator().manual_seed(int(seed))
    return torch.randint(-HALF, HALF, (count,), generator=generator, dtype=torch.int64).to(torch.int32)


def agree(node: Node, seed: int) -> dict[int, Tensor]:
    """A seed for each pair of clients: the lower rank draws and tells it. Returns this client's, by peer."""
    generator = torch.Generator().manual_seed(seed * node.world_size + node.rank)
    seeds = {peer: torch.randint(2**62, (1,), generator=generator) for peer in range(1, node.world_size)}
    told = [node.isend(seeds[peer], peer) for peer in range(node.rank + 1, node.world_size)]
    for peer in range(1, node.rank):
        node.recv(seeds[peer], peer)
    for sending in told:
        sending.wait()
    return seeds


def masked(vector: Tensor, rank: int, seeds: Mapping[int, Tensor]) -> Tensor:
    """``vector`` in whole numbers, and this rank's masks with all others: int32 (P,), modulo 2^32."""
    total = whole(vector)
    for peer, seed in seeds.items():
        if peer != rank:
            total += mask(seed, len(vector)) * (1 if rank < peer else -1)  # wraps around
    return total


def secure_sum(node: Node, vector: Tensor, lost: Collection[int] = (), seed: int = 0) -> Tensor | None:
    """Rank 0 returns the sum of the clients' vectors, float32 (P,), within 2^-17 for each; clients nothing.

    ``lost``: ranks that fall silent before they send. 1. Each pair of clients agrees on a seed. 2. Each
    client sends its masked vector. 3. The server adds modulo 2^32: masks of pairs that are both there cancel.
    4. Of the lost, their partners tell the seeds, and their masks come out. Raises ``ValueError`` where
    fewer than two clients are left: then the sum is a client's own vector.
    """
    there = [rank for rank in range(1, node.world_size) if rank not in lost]
    if len(there) < 2:
        raise ValueError(f"{counted(len(there), 'client')} left: a sum hides nothing below two")
    seeds = agree(node, seed) if node.rank else {}  # 1.
    if node.rank in there:
        node.send(masked(vector, node.rank, seeds), 0)  # 2.
        for gone in lost:
            node.send(seeds[gone], 0)  # 4.
    if node.rank:
        return None
    total, told = torch.zeros(len(vector), dtype=torch.int32), torch.zeros(1, dtype=torch.int64)
    box = torch.empty_like(total)
    for rank in there:
        node.recv(box, rank)
        total += box  # 3.
    for rank in there:
        for gone in lost:
            node.recv(told, rank)
            total -= mask(told, len(vector)) * (1 if rank < gone else -1)
    return total.float() / SCALE
