"""A bit an entry: signs, and one number that says how large they are.

signSGD (Bernstein et al. 2018) steps by signs alone; 1-bit SGD (Seide et al. 2014) and EF-signSGD
(Karimireddy et al. 2019) send a size along and remember the rest. Bits can't be added on the
way, so they are gathered: (n-1)(P/8 + 4) bytes a node, those of a dense all-reduce at 64 nodes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..node.node import Node


def packed(vector: Tensor) -> Tensor:
    """The signs of ``vector`` (P,) as bits, uint8 (⌈P/8⌉,): 1 for 0 and above."""
    return torch.from_numpy(np.packbits((vector >= 0).numpy()))


def unpacked(bits: Tensor, count: int) -> Tensor:
    """``packed`` backwards: ``count`` numbers, each +1 or −1, float32."""
    return torch.from_numpy(np.unpackbits(bits.numpy(), count=count)).float() * 2 - 1


def scaled_sign(node: Node, vector: Tensor, step: int = 0) -> tuple[Tensor, Tensor]:
    """Exchange signs times the mean size of this rank's entries; returns (mean, sent), both (P,).

    1. P bits and one size. 2. Those of all ranks. 3. Added up, rank by rank.
    """
    n, bits, size = node.world_size, packed(vector), vector.abs().mean().reshape(1)  # 1.
    all_bits, sizes = bits.new_empty(n * len(bits)), size.new_empty(n)
    node.all_gather(all_bits, bits)  # 2.
    node.all_gather(sizes, size)
    mean = torch.zeros_like(vector)
    for theirs, scale in zip(all_bits.split(len(bits)), sizes, strict=True):
        mean += scale * unpacked(theirs, len(vector))  # 3.
    return mean / n, size * unpacked(bits, len(vector))
