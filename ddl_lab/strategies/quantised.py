"""Fewer bits a number: half precision, which can be reduced, and QSGD, which is right on average.

=========  ==================================  ===========================================
function   an entry becomes                    bytes that a node sends (ring)
=========  ==================================  ===========================================
half       a float16 or bfloat16               2(n-1)/n · 2P, one all-reduce
qsgd       one of 2s + 1 levels, by chance     (n-1)(P · bits/8 + 4 P/bucket), gathered
=========  ==================================  ===========================================

QSGD (Alistarh et al. 2017): within a bucket v an entry is rounded to a neighbouring level of |v|/s, up or
down by chance so that it is right on average. The variance of a bucket of d entries is at most
min(d/s², √d/s) |v|² (their Lemma 3.1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..node.node import Node


def half(
    node: Node, vector: Tensor, step: int = 0, dtype: torch.dtype = torch.bfloat16
) -> tuple[Tensor, Tensor]:
    """Exchange in 16 bits an entry; returns (mean, sent), both (P,) float32.

    Each rank's share of the mean is rounded, not its gradient: a sum of many could leave float16's range.
    """
    rounded = (vector / node.world_size).to(dtype)
    sent = rounded.float() * node.world_size
    node.all_reduce(rounded, op="sum")
    return rounded.float(), sent


def levels_of(bits: int) -> int:
    """s: levels on each side of zero, so that 2s + 1 of them fit into ``bits``: 1, 7 or 127.

    Raises ``ValueError`` for a count of bits that doesn't fill bytes, and for 1.
    """
    if bits not in (2, 4, 8):
        raise ValueError(f"bits={bits!r}: an entry can have 2, 4 or 8, which fill bytes")
    return int(2 ** (bits - 1)) - 1


def quantise(vector: Tensor, levels: int, bucket: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Levels 0 to 2s, s for zero, as uint8 (buckets, bucket), and each bucket's norm, float32 (buckets,).

    The last bucket is filled up with zeros.
    """
    rows = torch.nn.functional.pad(vector, (0, -len(vector) % bucket)).view(-1, bucket)
    norms = rows.norm(dim=1)
    scaled = rows * (levels / norms.clamp(min=1e-30))[:, None]
    chance = torch.rand(scaled.shape, generator=generator)
    return (scaled + chance).floor_().clamp_(-levels, levels).add_(levels).to(torch.uint8), norms


def restored(codes: Tensor, norms: Tensor, levels: int, count: int) -> Tensor:
    """The vector (count,) that levels and norms stand for."""
    return ((codes.float() - levels) * (norms / levels)[:, None]).flatten()[:count]


def packed(codes: Tensor, bits: int) -> Tensor:
    """Levels below 2^bits side by side in bytes: uint8 (buckets, bucket) -> (buckets, bucket · bits/8)."""
    parts = codes.view(len(codes), 8 // bits, -1)
    return sum((parts[:, place] << bits * place for place in range(1, 8 // bits)), parts[:, 0])


def unpacked(packets: Tensor, bits: int) -> Tensor:
    """``packed`` backwards."""
    parts = [packets >> bits * place & 2**bits - 1 for place in range(8 // bits)]
    return torch.cat(parts, dim=1)


def qsgd(
    node: Node, vector: Tensor, step: int = 0, bits: int = 8, bucket: int = 512
) -> tuple[Tensor, Tensor]:
    """Exchange one of 2s + 1 levels an entry, and a norm a bucket; returns (mean, sent), both (P,).

    1. Levels by this rank's own chance, from (step, rank). 2. Those of all ranks. 3. Added up, rank by rank.
    """
    n, s, count = node.world_size, levels_of(bits), len(vector)
    chance = torch.Generator().manual_seed(step * n + node.rank)
    codes, norms = quantise(vector, s, bucket, chance)  # 1.
    packets = packed(codes, bits)
    all_packets = packets.new_empty(n * len(packets), packets.shape[1])
    all_norms = norms.new_empty(n * len(norms))
    node.all_gather(all_packets, packets)  # 2.
    node.all_gather(all_norms, norms)
    mean = torch.zeros_like(vector)
    for theirs, sizes in zip(all_packets.split(len(packets)), all_norms.split(len(norms)), strict=True):
        mean += restored(unpacked(theirs, bits), sizes, s, count)  # 3.
    return mean / n, restored(codes, norms, s, count)
