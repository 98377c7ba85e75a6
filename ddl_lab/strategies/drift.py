"""Replicas that should be equal to the bit, compared by a few bytes: whoever drifts is named.

A gradient's mean tells nobody that one rank's parameters are others than the rest's: a flipped bit in memory,
an update left out, a generator out of step. A hash of the parameters does.
"""

from __future__ import annotations

import zlib
from collections import Counter

import torch
from torch import Tensor

from ..node.node import Node


def fingerprint(vector: Tensor) -> int:
    """CRC-32 of the vector's bytes: equal for equal bits, and different for all vectors one bit apart."""
    return zlib.crc32(vector.detach().cpu().contiguous().numpy().tobytes())


def drifted(node: Node, vector: Tensor) -> list[int]:
    """The ranks whose ``vector`` (P,) differs from most ranks'; every rank gets the same list.

    1. A number for each rank's bits. 2. All of them: 8 (n - 1) bytes a node. 3. What most have is right; of
    two equally common ones the lowest rank's.
    """
    mine = torch.tensor([fingerprint(vector)])  # 1.
    prints = mine.new_empty(node.world_size)
    node.all_gather(prints, mine)  # 2.
    (common, _), *_ = Counter(prints.tolist()).most_common(1)  # 3. the first of equally common ones
    return [rank for rank, found in enumerate(prints.tolist()) if found != common]
