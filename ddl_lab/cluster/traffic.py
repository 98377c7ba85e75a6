"""What each rank sends, by algorithm: (bytes, messages)."""

from __future__ import annotations

from .paths import block
from .work import Work, children, rounds, subtree

Sent = tuple[int, int]  # bytes, messages


def ring(work: Work, rank: int, n: int) -> Sent:
    """To the next neighbour only; of a chain the last one sends nothing."""
    place = (rank - work.root) % n
    if work.name == "broadcast":
        return (0, 0) if place == n - 1 else (work.total, 1)
    if work.name == "reduce":
        return (work.total, 1) if place else (0, 0)
    beyond = work.total - work.placed.before[place]  # of this place and those after it
    if work.name == "gather":
        return (beyond, 1) if place else (0, 0)
    if work.name == "scatter":
        return (0, 0) if place == n - 1 else (beyond - work.placed.chunks[place], 1)
    if work.rows:
        return sum(lap[rank] for lap in work.rows.laps), n - 1
    if work.name == "all_to_all":  # for the k-th rank from here n - k ranks' chunks pass
        return sum(work.chunks[(rank + k) % n] * (n - k) for k in range(1, n)), n - 1
    scatter = work.total - work.chunks[rank]  # all but the chunk this rank ends up with
    gather = work.total - work.chunks[(rank + 1) % n]  # all but the one its neighbour started with
    return {
        "all_reduce": (scatter + gather, 2 * (n - 1)),
        "barrier": (0, 2 * (n - 1)),
        "reduce_scatter": (scatter, n - 1),
        "all_gather": (gather, n - 1),
    }[work.name]


def direct(work: Work, rank: int, n: int) -> Sent:
    """To each that needs it."""
    is_root, own = rank == work.root, work.chunks[rank]
    if work.rows:
        return work.given[rank] - work.rows.bytes[rank][rank], n - 1
    return {
        "broadcast": ((n - 1) * work.total, n - 1) if is_root else (0, 0),
        "scatter": (work.total - own, n - 1) if is_root else (0, 0),
        "reduce": (0, 0) if is_root else (work.total, 1),
        "gather": (0, 0) if is_root else (own, 1),
        "all_reduce": ((n - 1) * work.total, n - 1),
        "barrier": (0, n - 1),
        "reduce_scatter": (work.total - own, n - 1),
        "all_to_all": (work.total - own, n - 1),
        "all_gather": ((n - 1) * own, n - 1),
    }[work.name]


def doubling(work: Work, rank: int, n: int) -> Sent:
    """To the partner at each doubling distance; surplus ranks hand over what they have."""
    power, name = 1 << (n.bit_length() - 1), work.name
    if name in ("broadcast", "reduce", "gather", "scatter"):
        return tree(work, rank, n)
    if work.rows:
        return sum(hop[rank] for hop in work.rows.hops), len(work.rows.hops)
    if name == "all_to_all":
        return _bruck(work, rank, n), rounds(n)
    if rank >= power:
        return (work.chunks[rank] if name == "all_gather" else work.total), 1
    serves, doublings = rank + power < n, power.bit_length() - 1
    if name in ("all_reduce", "barrier"):
        return (doublings + serves) * work.total, doublings + serves
    gathers = name == "all_gather"  # sends what it has so far; a scatter sends what the other is to have
    swapped = 0
    for k in range(doublings):
        start = (rank if gathers else rank ^ (1 << k)) >> k << k
        swapped += block(work, start, 1 << k, power)
    fold = (work.total if gathers else work.chunks[rank + power]) if serves else 0
    return swapped + fold, doublings + serves


def _bruck(work: Work, rank: int, n: int) -> int:
    """Bytes in all rounds: a chunk with way w to go has gone w's lower bits when round k passes it on."""
    ways = ((way, k) for k in range(rounds(n)) for way in range(1, n) if way >> k & 1)
    return sum(work.chunks[(rank + way - way % (1 << k)) % n] for way, k in ways)


def tree(work: Work, rank: int, n: int) -> Sent:
    """Along a binomial tree from the root: up one message to the parent, down one to each child."""
    if work.name == "all_to_all":
        gathered = tree(Work("gather", work.given), rank, n)
        scattered = tree(Work("scatter", work.taken), rank, n)
        return gathered[0] + scattered[0], gathered[1] + scattered[1]
    place = (rank - work.root) % n
    below = children(place, n)
    nothing = (0, 0)
    up = (work.total, 1) if place else nothing
    down = (len(below) * work.total, len(below))
    gather = (subtree(work.placed, place), 1) if place else nothing
    scatter = (sum(subtree(work.placed, child) for child in below), len(below))
    both = {
        "broadcast": (nothing, down),
        "reduce": (up, nothing),
        "gather": (gather, nothing),
        "scatter": (nothing, scatter),
        "all_reduce": (up, down),
        "barrier": ((0, up[1]), (0, down[1])),
        "reduce_scatter": (up, scatter),
        "all_gather": (gather, down),
    }[work.name]
    return both[0][0] + both[1][0], both[0][1] + both[1][1]
