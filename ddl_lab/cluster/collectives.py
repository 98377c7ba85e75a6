"""What a collective costs and sends, by algorithm, in the latency-bandwidth model.

``n`` nodes, a tensor of ``S`` bytes, latency ``a`` seconds, ``b`` seconds a byte; every node sends and
receives one message at a time (both at once is fine). Sources: Hockney 1994 (the model); Patarasuk and
Yuan 2009 (ring); Thakur, Rabenseifner and Gropp 2005 (the other forms).

==========  =============================  ======================  ==============================
algorithm   all_reduce                     reduce_scatter          all_gather
==========  =============================  ======================  ==============================
ring        2(n-1)(a + bS/n)               (n-1)(a + bS/n)         (n-1)(a + bS/n)
direct      a + (n-1)bS                    a + (n-1)bS/n           a + (n-1)bS/n
doubling    log2 n (a + bS)                log2 n a + (n-1)bS/n    log2 n a + (n-1)bS/n
tree        2 ceil(log2 n)(a + bS)         reduce, then scatter    gather, then broadcast
==========  =============================  ======================  ==============================

broadcast: ring (a chain) (n-1)(a + bS), direct a + (n-1)bS, doubling and tree ceil(log2 n)(a + bS).
barrier: an all_reduce of nothing.

Doubling needs a power of two. Of n = p + r nodes, p the largest such power, the last r first send what
they have to the first r, and get the result from them in the end: the first lines of ``_doubling``.

Exact, that is equal to the algorithm played message by message: ring and direct where chunks are equal,
doubling of an all_reduce, broadcasts; all forms where n is a power of two and chunks are equal. Elsewhere
a form charges each round at its largest message, and is an upper bound, at most twice what it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

ALGORITHMS = ("ring", "direct", "doubling", "tree")
NAMES = ("all_reduce", "reduce_scatter", "all_gather", "broadcast", "barrier")


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


@dataclass(frozen=True)
class Work:
    """A collective to be costed: its name, each rank's chunk in bytes, and the root of a broadcast.

    all_reduce and broadcast of S bytes: chunks are the n nearly equal pieces of the tensor.
    """

    name: str
    chunks: tuple[int, ...]
    root: int = 0

    @cached_property
    def total(self) -> int:
        """Bytes of the whole tensor."""
        return sum(self.chunks)

    @cached_property
    def before(self) -> tuple[int, ...]:
        """Bytes of all chunks before chunk i; one entry more than there are chunks."""
        return tuple(accumulate(self.chunks, initial=0))


# Kept, because all nodes of a simulation ask for the same: ten thousand times ten thousand chunks.
@lru_cache(maxsize=64)
def even_chunks(total: int, n: int) -> tuple[int, ...]:
    """``total`` cut in ``n`` pieces whose sizes differ by at most one, the larger ones first."""
    base, rest = divmod(total, n)
    return tuple(base + (i < rest) for i in range(n))


@lru_cache(maxsize=64)
def even_work(name: str, elements: int, n: int, element_size: int, root: int = 0) -> Work:
    """The work of a collective on ``elements`` in nearly equal chunks."""
    return Work(name, tuple(c * element_size for c in even_chunks(elements, n)), root)


def rounds(n: int) -> int:
    """ceil(log2 n): the depth of a binomial tree over n nodes."""
    return (n - 1).bit_length()


def seconds(algorithm: str, work: Work, latency_s: float, bandwidth_bytes_per_s: float) -> float:
    """How long ``work`` takes once all nodes have entered it."""
    n = len(work.chunks)
    if n == 1:
        return 0.0
    path = {"ring": _ring, "direct": _direct, "doubling": _doubling, "tree": _tree}[algorithm]
    messages, nbytes = path(work, n)
    return messages * latency_s + nbytes / bandwidth_bytes_per_s


def cheapest(work: Work, latency_s: float, bandwidth_bytes_per_s: float) -> tuple[str, float]:
    """The algorithm that takes the least time for ``work``, and its seconds; the first of equal ones."""
    costs = {a: seconds(a, work, latency_s, bandwidth_bytes_per_s) for a in ALGORITHMS}
    return min(costs.items(), key=lambda item: item[1])


# Each returns (messages one after another, bytes one after another) on the longest path.


def _ring(work: Work, n: int) -> tuple[int, int]:
    largest = max(work.chunks)
    if work.name == "broadcast":
        return n - 1, (n - 1) * work.total
    laps = 2 if work.name in ("all_reduce", "barrier") else 1
    return laps * (n - 1), laps * (n - 1) * largest


def _direct(work: Work, n: int) -> tuple[int, int]:
    whole = work.name in ("all_reduce", "broadcast", "barrier")
    return 1, (n - 1) * (work.total if whole else max(work.chunks))


def _tree(work: Work, n: int) -> tuple[int, int]:
    depth = rounds(n)
    apart = work.total - min(work.chunks)  # what leaves or reaches the root in a scatter or gather
    return {
        "broadcast": (depth, depth * work.total),
        "all_reduce": (2 * depth, 2 * depth * work.total),
        "barrier": (2 * depth, 0),
        "reduce_scatter": (2 * depth, depth * work.total + apart),
        "all_gather": (2 * depth, depth * work.total + apart),
    }[work.name]


def _doubling(work: Work, n: int) -> tuple[int, int]:
    power, total = 1 << (n.bit_length() - 1), work.total
    surplus, doublings = n - power, power.bit_length() - 1
    if work.name == "broadcast":
        return _tree(work, n)
    if work.name in ("all_reduce", "barrier"):  # where n is odd, a fold and the first swap meet on a link
        messages = doublings + 2 * bool(surplus)
        return messages, (messages + n % 2 * bool(surplus)) * total
    swaps = [max(_block(work, i, 1 << k, power) for i in range(0, power, 1 << k)) for k in range(doublings)]
    if not surplus:
        return doublings, sum(swaps)
    folds = total + max(work.chunks[power:])
    return doublings + 2, sum(swaps) + folds + max(swaps, default=0)  # the largest meets a fold on a link


def _block(work: Work, start: int, length: int, power: int) -> int:
    """Bytes of the chunks of places ``start`` to ``start + length``, those of surplus ranks among them."""
    n, before = len(work.chunks), work.before
    folded = min(start + length + power, n), min(start + power, n)
    return before[start + length] - before[start] + before[folded[0]] - before[folded[1]]


def traffic(algorithm: str, work: Work, rank: int) -> tuple[int, int]:
    """(bytes, messages) that ``rank`` sends in ``work``."""
    n = len(work.chunks)
    if n == 1:
        return 0, 0
    return _TRAFFIC[algorithm](work, rank, n)


def _ring_traffic(work: Work, rank: int, n: int) -> tuple[int, int]:
    if work.name == "broadcast":  # a chain from the root: the last one sends nothing
        last = (work.root - 1) % n
        return (0, 0) if rank == last else (work.total, 1)
    scatter = work.total - work.chunks[rank]  # all but the chunk this rank ends up with
    gather = work.total - work.chunks[(rank + 1) % n]  # all but the one its neighbour started with
    return {
        "all_reduce": (scatter + gather, 2 * (n - 1)),
        "barrier": (0, 2 * (n - 1)),
        "reduce_scatter": (scatter, n - 1),
        "all_gather": (gather, n - 1),
    }[work.name]


def _direct_traffic(work: Work, rank: int, n: int) -> tuple[int, int]:
    if work.name == "broadcast":
        return ((n - 1) * work.total, n - 1) if rank == work.root else (0, 0)
    nbytes = {
        "all_reduce": (n - 1) * work.total,
        "barrier": 0,
        "reduce_scatter": work.total - work.chunks[rank],
        "all_gather": (n - 1) * work.chunks[rank],
    }[work.name]
    return nbytes, n - 1


def _doubling_traffic(work: Work, rank: int, n: int) -> tuple[int, int]:
    power = 1 << (n.bit_length() - 1)
    if work.name == "broadcast":
        return _tree_traffic(work, rank, n)
    whole = work.name in ("all_reduce", "barrier")
    if rank >= power:  # surplus: it hands over what it has
        return (work.chunks[rank] if work.name == "all_gather" else work.total), 1
    serves, doublings = rank + power < n, power.bit_length() - 1
    if whole:
        return (doublings + serves) * work.total, doublings + serves
    gathers = work.name == "all_gather"  # sends what it has so far; a scatter sends what the other is to have
    swapped = 0
    for k in range(doublings):
        start = (rank if gathers else rank ^ (1 << k)) >> k << k
        swapped += _block(work, start, 1 << k, power)
    fold = (work.total if gathers else work.chunks[rank + power]) if serves else 0
    return swapped + fold, doublings + serves


def _tree_traffic(work: Work, rank: int, n: int) -> tuple[int, int]:
    """Binomial tree rooted at ``work.root``: up means one message to the parent, down one to each child."""
    place = (rank - work.root) % n
    children = _children(place, n)
    below = [sum(_subtree(work, child, n)) for child in children]
    up = (work.total, 1) if place else (0, 0)
    down = (len(children) * work.total, len(children))
    own_up = (sum(_subtree(work, place, n)), 1) if place else (0, 0)
    scatter = (sum(below), len(children))
    both = {
        "broadcast": ((0, 0), down),
        "all_reduce": (up, down),
        "barrier": ((0, up[1]), (0, down[1])),
        "reduce_scatter": (up, scatter),
        "all_gather": (own_up, down),
    }[work.name]
    return both[0][0] + both[1][0], both[0][1] + both[1][1]


def _children(place: int, n: int) -> list[int]:
    """Places of the children of ``place`` in a binomial tree: place + 2^k below its lowest set bit."""
    limit = (place & -place) or (1 << rounds(n))
    return [place + (1 << k) for k in range(limit.bit_length() - 1) if place + (1 << k) < n]


def _subtree(work: Work, place: int, n: int) -> Sequence[int]:
    """The chunks of all nodes at and below ``place``."""
    span = (place & -place) or n
    return [work.chunks[(p + work.root) % n] for p in range(place, min(place + span, n))]


_TRAFFIC = {
    "ring": _ring_traffic,
    "direct": _direct_traffic,
    "doubling": _doubling_traffic,
    "tree": _tree_traffic,
}
