"""What a collective costs and sends, by algorithm, in the latency-bandwidth model.

``n`` nodes, a tensor of ``S`` bytes, latency ``a`` seconds, ``b`` seconds a byte; every node sends and
receives one message at a time (both at once is fine). Sources: Hockney 1994 (the model); Patarasuk and
Yuan 2009 (ring); Thakur, Rabenseifner and Gropp 2005 (the other forms); Bruck et al. 1997 (all_to_all).

==========  =============================  ======================  ==============================
algorithm   all_reduce                     reduce_scatter          all_gather
==========  =============================  ======================  ==============================
ring        2(n-1)(a + bS/n)               (n-1)(a + bS/n)         (n-1)(a + bS/n)
direct      a + (n-1)bS                    a + (n-1)bS/n           a + (n-1)bS/n
doubling    log2 n (a + bS)                log2 n a + (n-1)bS/n    log2 n a + (n-1)bS/n
tree        2 ceil(log2 n)(a + bS)         reduce, then scatter    gather, then broadcast
==========  =============================  ======================  ==============================

==========  =============================  ======================  ==============================
algorithm   broadcast, reduce              gather, scatter         all_to_all (S: of one node)
==========  =============================  ======================  ==============================
ring        (n-1)(a + bS), a chain         (n-1)(a + bS/2)         (n-1)(a + bS/2)
direct      a + (n-1)bS                    a + (n-1)bS/n           a + (n-1)bS/n
doubling    as a tree                      as a tree               log2 n (a + bS/2), Bruck's
tree        ceil(log2 n)(a + bS)           log2 n a + (n-1)bS/n    gather, then scatter
==========  =============================  ======================  ==============================

barrier: an all_reduce of nothing. "two-level", over hosts: ``levels.py``.

Doubling needs a power of two, but for all_to_all. Of n = p + r nodes, p the largest such power, the last r
first send what they have to the first r, and get the result from them in the end: ``paths.doubling``.

Exact, that is equal to the algorithm played message by message: ring and direct where chunks are equal,
doubling of an all_reduce and an all_to_all, broadcasts; all forms where n is a power of two and chunks are
equal. Elsewhere a form charges each round at its largest message, and is an upper bound, at most twice
what it takes. An all_to_all of unequal parts (``rows.py``) is exact around a ring and if direct, and by
doubling some per cent off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from . import levels, paths
from . import traffic as sending
from .levels import TwoLevel
from .work import NAMES, Hosts, Work, even_chunks, even_work, rounds

__all__ = ["ALGORITHMS", "NAMES", "Cost", "Work", "even_chunks", "even_work", "rounds", "seconds", "traffic"]

ALGORITHMS = ("ring", "direct", "doubling", "tree")  # of one level

_PATHS = {"ring": paths.ring, "direct": paths.direct, "doubling": paths.doubling, "tree": paths.tree}
_SENT = {"ring": sending.ring, "direct": sending.direct, "doubling": sending.doubling, "tree": sending.tree}


@dataclass(frozen=True)
class Cost:
    """What a collective costs: ``Cluster.cost`` makes it."""

    seconds: float
    algorithm: str
    bytes: int
    """Sent by the rank that sends most."""
    messages: int
    """Sent by the rank that sends most."""
    choices: Mapping[str, float]
    """Seconds by algorithm."""


def seconds(algorithm: str, work: Work, latency_s: float, bandwidth_bytes_per_s: float) -> float:
    """How long ``work`` takes once all nodes have entered it, every link being alike."""
    n = len(work.chunks)
    if n == 1:
        return 0.0
    messages, nbytes = _PATHS[algorithm](work, n)
    return messages * latency_s + nbytes / bandwidth_bytes_per_s


def choices(work: Work, inside: levels.Link, between: levels.Link, hosts: Hosts | None) -> dict[str, float]:
    """Seconds by algorithm; one of two levels among them where there are ``hosts``."""
    found = {algorithm: seconds(algorithm, work, *between) for algorithm in ALGORITHMS}
    if hosts:
        found[TwoLevel(hosts)] = levels.seconds(work, hosts, inside, between, seconds)
    return found


def traffic(algorithm: str, work: Work, rank: int) -> tuple[int, int]:
    """(bytes, messages) that ``rank`` sends in ``work``."""
    n = len(work.chunks)
    if n == 1:
        return 0, 0
    if isinstance(algorithm, TwoLevel):
        return levels.traffic(work, algorithm.hosts, rank, traffic)
    return _SENT[algorithm](work, rank, n)
