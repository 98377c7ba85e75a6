"""Collectives made by hand of messages: broadcast and all-reduce, the naive ways and the good ones.

Each works in place on a contiguous tensor that needs no gradient, on any number of nodes, and calls
only ``node.send``, ``recv``, ``isend`` and, for two levels, ``group``. In the formulas n nodes hold S bytes,
and a message of m bytes takes a + b m seconds (Hockney 1994). Sums are sums over all nodes; no other
operation.

============================  ==========================  =======================================
function                      seconds                     bytes and messages that a node sends
============================  ==========================  =======================================
naive_broadcast               (n-1)(a + bS)               src: (n-1) S in n-1; others nothing
tree_broadcast                ceil(log2 n)(a + bS)        (n-1) S in n-1 over all nodes
gather_and_broadcast          n a + 2(n-1) bS             rank 0: (n-1) S in n-1; others S in 1
ring_all_reduce               2(n-1)(a + bS/n)            2(n-1)/n S in 2(n-1)
recursive_doubling            log2 n (a + bS)             log2 n S in log2 n
two_level_all_reduce          2(m-1)(a' + b'S/m)          2(m-1)/m S + 2(h-1)/n S
                              + 2(h-1)(a + bS/n)          in 2(m-1) + 2(h-1)
============================  ==========================  =======================================

The line before the last holds where n is a power of two; its docstring has the rest, and that of two levels
what a', b', h and m are. ``exchanges.py`` has reduce, gather, scatter and all_to_all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..node.node import Node


def naive_broadcast(node: Node, tensor: Tensor, src: int = 0) -> None:
    """Every rank's ``tensor`` becomes rank ``src``'s: ``src`` sends it to one after another.

    ``src`` sends (n-1) S bytes in n-1 messages. ``send`` returns when the message was taken, so the
    messages follow each other: (n-1)(a + bS) seconds.
    """
    if node.rank != src:
        node.recv(tensor, src)
        return
    for dst in range(node.world_size):
        if dst != src:
            node.send(tensor, dst)


def tree_broadcast(node: Node, tensor: Tensor, src: int = 0) -> None:
    """Every rank's ``tensor`` becomes rank ``src``'s: whoever has it sends it on, in a binomial tree.

    Round k (distance 2^k): the 2^k nodes that have the tensor send it to as many that don't. After
    ceil(log2 n) rounds of a + bS seconds all have it. Over all nodes (n-1) S bytes in n-1 messages, as
    in the naive way; ``src`` sends only ceil(log2 n) of them.
    """
    n, place = node.world_size, (node.rank - src) % node.world_size  # src stands at place 0
    distance = 1
    while distance < n:
        if distance <= place < 2 * distance:
            node.recv(tensor, (place - distance + src) % n)
        elif place < distance and place + distance < n:
            node.send(tensor, (place + distance + src) % n)
        distance *= 2


def gather_and_broadcast(node: Node, tensor: Tensor) -> None:
    """Every rank's ``tensor`` becomes the sum over all ranks, which rank 0 works out alone.

    1. Gather: all send to rank 0, which adds in rank order: the same bits as ``node.all_reduce``.
    2. Broadcast: rank 0 sends the sum to one after another.

    Rank 0 sends (n-1) S bytes in n-1 messages and receives as many; each other rank sends S in 1. Rank
    0's link carries everything: a + (n-1) bS seconds to gather, (n-1)(a + bS) to broadcast.
    """
    if node.rank == 0:  # 1.
        box = torch.empty_like(tensor)
        for src in range(1, node.world_size):
            node.recv(box, src)
            tensor += box
    else:
        node.send(tensor, 0)
    naive_broadcast(node, tensor)  # 2.


def ring_all_reduce(node: Node, tensor: Tensor) -> None:
    """Every rank's ``tensor`` becomes the sum over all ranks: n chunks go around a ring, twice.

    1. Reduce-scatter, n-1 steps: each rank passes a chunk to its right, and adds the one from its left
       to its own. Afterwards rank r has chunk r of the sum.
    2. All-gather, n-1 steps: the finished chunks go around once more.

    Each rank sends 2(n-1)/n S bytes in 2(n-1) messages, where n divides the number of elements;
    otherwise chunk sizes differ by one element, and rank r sends 2S less its chunks r and r+1. Takes
    2(n-1)(a + bS/n) seconds. Patarasuk and Yuan 2009: in every all-reduce some rank sends as many bytes.
    """
    chunks = tensor.view(-1).tensor_split(node.world_size)  # the first ones may be one element longer
    _ring_reduce_scatter(node, chunks)  # 1.
    _ring_all_gather(node, chunks)  # 2.


def _ring_reduce_scatter(node: Node, chunks: Sequence[Tensor]) -> None:
    """Rank r's chunk r becomes the sum of all; the others are left with sums of some."""
    n, rank = node.world_size, node.rank
    box = torch.empty_like(chunks[0])
    for step in range(n - 1):
        sending = node.isend(chunks[(rank - 1 - step) % n], (rank + 1) % n)
        own = chunks[(rank - 2 - step) % n]
        came = box[: len(own)]
        node.recv(came, (rank - 1) % n)
        own += came
        sending.wait()


def _ring_all_gather(node: Node, chunks: Sequence[Tensor]) -> None:
    """Every rank's chunks become those that rank r has as chunk r."""
    n, rank = node.world_size, node.rank
    for step in range(n - 1):
        sending = node.isend(chunks[(rank - step) % n], (rank + 1) % n)
        node.recv(chunks[(rank - 1 - step) % n], (rank - 1) % n)
        sending.wait()


def two_level_all_reduce(node: Node, tensor: Tensor, host_size: int) -> None:
    """Every rank's ``tensor`` becomes the sum over all ranks, ``host_size`` of which share a host.

    With m ranks on each of h hosts, n = h m; ``host_size`` must divide n:

    1. Reduce-scatter inside each host, in a ring: rank j of a host has the j-th part of its host's sum.
    2. All-reduce between the j-th ranks of all hosts, in a ring: m rings side by side.
    3. All-gather inside each host, in a ring.

    Each byte passes between hosts as often as in a ring of h, not of n: 2(m-1)(a' + b'S/m) seconds
    inside and 2(h-1)(a + bS/n) between. A rank sends 2(m-1)/m S inside and 2(h-1)/n S between.
    """
    host, place = divmod(node.rank, host_size)
    inside = node.group(range(host * host_size, (host + 1) * host_size))
    between = node.group(range(place, node.world_size, host_size))
    chunks = tensor.view(-1).tensor_split(node.world_size)
    count = node.world_size // host_size
    parts = tensor.view(-1).split(
        [sum(map(len, chunks[p * count : (p + 1) * count])) for p in range(host_size)]
    )
    _ring_reduce_scatter(inside, parts)  # 1.
    ring_all_reduce(between, parts[place])  # 2.
    _ring_all_gather(inside, parts)  # 3.


def recursive_doubling_all_reduce(node: Node, tensor: Tensor) -> None:
    """Every rank's ``tensor`` becomes the sum over all ranks: pairs swap sums, at doubling distances.

    With p the largest power of two up to n:

    1. Fold in: rank p + r sends its tensor to rank r, which adds it.
    2. Double: ranks 0 to p-1 swap with the rank at distance 1, 2, 4, … and add: log2 p rounds.
    3. Fold out: rank r sends the sum to rank p + r.

    A rank below p sends log2 p messages of S bytes, and one more if it has a surplus rank to serve; a
    surplus rank sends one. Takes log2 p (a + bS) seconds, plus 2(a + bS) where p < n, and bS more where
    n is odd: a fold and the first swap then meet on one link. Thakur, Rabenseifner and Gropp 2005.
    """
    rank, power = node.rank, 1 << (node.world_size.bit_length() - 1)
    box = torch.empty_like(tensor)
    if rank >= power:  # 1. and 3., a surplus rank's part
        node.send(tensor, rank - power)
        node.recv(tensor, rank - power)
        return
    if rank + power < node.world_size:  # 1.
        node.recv(box, rank + power)
        tensor += box
    distance = 1
    while distance < power:  # 2.
        sending = node.isend(tensor, rank ^ distance)
        node.recv(box, rank ^ distance)
        sending.wait()  # only then may it change
        tensor += box
        distance *= 2
    if rank + power < node.world_size:  # 3.
        node.send(tensor, rank + power)
