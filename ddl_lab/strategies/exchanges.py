"""Reduce, gather, scatter and all_to_all made by hand of messages.

Tensors are contiguous and need no gradient; there are as many ``parts`` as nodes. S is the whole tensor,
of gather and scatter what lies at the root, of all_to_all what one node has for all; a and b as in
``collectives.py``. Logarithms hold where n is a power of two; the docstrings have the rest.

============================  ==========================  =======================================
function                      seconds                     bytes and messages that a node sends
============================  ==========================  =======================================
tree_reduce                   ceil(log2 n)(a + bS)        all but dst: S in 1
direct_gather                 a + (n-1)bS/n               all but dst: S/n in 1
direct_scatter                a + (n-1)bS/n               src: (n-1)/n S in n-1; others nothing
direct_all_to_all             a + (n-1)bS/n               (n-1)/n S in n-1
bruck_all_to_all              log2 n (a + bS/2)           log2 n S/2 in log2 n
============================  ==========================  =======================================
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..node.node import Node


def tree_reduce(node: Node, tensor: Tensor, dst: int = 0) -> None:
    """Rank ``dst``'s ``tensor`` becomes the sum over all ranks; the others' are left with sums of some.

    ``tree_broadcast`` backwards: round k adds up pairs at distance 2^k, the lower place for both. Each rank
    but ``dst`` sends its sum once. ceil(log2 n) rounds of a + bS seconds at most: where n is no power of
    two, a rank without partners sends at once.
    """
    n, place = node.world_size, (node.rank - dst) % node.world_size  # dst stands at place 0
    box = torch.empty_like(tensor)
    distance = 1
    while distance < n:
        if place & distance:
            node.send(tensor, (place - distance + dst) % n)
            return
        if place + distance < n:
            node.recv(box, (place + distance + dst) % n)
            tensor += box
        distance *= 2


def direct_gather(node: Node, tensor: Tensor, parts: Sequence[Tensor], dst: int = 0) -> None:
    """Rank ``dst``'s ``parts`` become the ``tensor`` of each rank, by rank; the others give no parts.

    All send at once: ``dst``'s link carries n-1 messages, a + (n-1) bS/n seconds for S bytes in all.
    """
    if node.rank != dst:
        node.send(tensor, dst)
        return
    parts[dst].copy_(tensor)
    for src in _others(node):
        node.recv(parts[src], src)


def direct_scatter(node: Node, tensor: Tensor, parts: Sequence[Tensor], src: int = 0) -> None:
    """Every rank's ``tensor`` becomes its one of rank ``src``'s ``parts``; the others give no parts.

    ``direct_gather`` backwards, and as long.
    """
    if node.rank != src:
        node.recv(tensor, src)
        return
    tensor.copy_(parts[src])
    for sending in [node.isend(parts[dst], dst) for dst in _others(node)]:
        sending.wait()


def direct_all_to_all(node: Node, outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
    """``outputs[r]`` becomes what rank r has for this one: its ``inputs`` at this rank's place.

    Each sends to the next first, then to the one after: no two come to one link at once. n-1 messages
    of S/n bytes, a + (n-1) bS/n seconds.
    """
    outputs[node.rank].copy_(inputs[node.rank])
    sendings = [node.isend(inputs[dst], dst) for dst in _others(node)]
    for src in reversed(_others(node)):
        node.recv(outputs[src], src)
    for sending in sendings:
        sending.wait()


def bruck_all_to_all(node: Node, outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
    """As ``direct_all_to_all``, in ceil(log2 n) messages; all tensors are of one size.

    1. The tensor for the rank w further on is put at place w.
    2. Round k: all at places with bit k set go 2^k ranks on together, one message of S/2 bytes where n is a
       power of two. A tensor has gone w ranks in the end.
    3. Place w holds what the rank w before this one had for it.

    log2 n (a + bS/2) seconds: fewer messages, more bytes (Bruck et al. 1997).
    """
    n, rank = node.world_size, node.rank
    held = torch.stack([inputs[(rank + way) % n] for way in range(n)])  # 1.
    distance = 1
    while distance < n:  # 2.
        going = [way for way in range(n) if way & distance]
        came = torch.empty_like(held[going])
        sending = node.isend(held[going], (rank + distance) % n)
        node.recv(came, (rank - distance) % n)
        sending.wait()
        held[going] = came
        distance *= 2
    for way in range(n):  # 3.
        outputs[(rank - way) % n].copy_(held[way])


def _others(node: Node) -> list[int]:
    """The other ranks, the next one first."""
    return [(node.rank + k) % node.world_size for k in range(1, node.world_size)]
