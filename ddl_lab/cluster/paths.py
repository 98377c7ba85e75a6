"""What each algorithm's seconds are made of: the messages and bytes that follow one another."""

from __future__ import annotations

from .work import Work, climbs, rounds

Path = tuple[int, int]  # messages one after another, bytes one after another


def ring(work: Work, n: int) -> Path:
    """Neighbours only, each with the next; what has a root goes along a chain."""
    largest, before = max(work.chunks), work.placed.before
    if work.name in ("broadcast", "reduce"):
        return n - 1, (n - 1) * work.total
    if work.name in ("gather", "scatter"):  # a link carries all chunks that lie beyond it
        return n - 1, sum(work.total - passed for passed in before[1:-1])
    if work.rows:
        return n - 1, work.rows.around
    if work.name == "all_to_all":  # first n - 1 chunks, then one less at each step
        return n - 1, n * (n - 1) // 2 * largest
    laps = 2 if work.name in ("all_reduce", "barrier") else 1
    return laps * (n - 1), laps * (n - 1) * largest


def direct(work: Work, n: int) -> Path:
    """All messages at once: one link carries n - 1 of them."""
    if work.name in ("gather", "scatter"):
        return 1, work.total - work.chunks[work.root]
    if work.rows:
        return 1, work.rows.flood
    whole = work.name in ("all_reduce", "broadcast", "barrier", "reduce")
    return 1, (n - 1) * (work.total if whole else max(work.chunks))


def tree(work: Work, n: int) -> Path:
    """Along a binomial tree, up, down, or both."""
    depth, total = rounds(n), work.total
    if work.name in ("broadcast", "reduce"):
        return depth, depth * total
    if work.name in ("all_reduce", "barrier"):
        return 2 * depth, 2 * depth * total
    if work.name == "all_to_all":  # everything gathered at place 0, then scattered
        return 2 * depth, sum(climbs(Work("gather", work.given))) + sum(climbs(Work("scatter", work.taken)))
    apart = sum(climbs(work.placed))
    if work.name in ("gather", "scatter"):
        return depth, apart
    return 2 * depth, depth * total + apart


def doubling(work: Work, n: int) -> Path:
    """Pairs at doubling distances; of n nodes that are no power of two the last ones fold in and out."""
    if work.name in ("broadcast", "reduce", "gather", "scatter"):
        return tree(work, n)
    if work.rows:
        return rounds(n), work.rows.hopping
    if work.name == "all_to_all":
        return rounds(n), sum(passing(n)) * max(work.chunks)
    power, total = 1 << (n.bit_length() - 1), work.total
    surplus, doublings = n - power, power.bit_length() - 1
    if work.name in ("all_reduce", "barrier"):  # where n is odd, a fold and the first swap meet on a link
        messages = doublings + 2 * bool(surplus)
        return messages, (messages + n % 2 * bool(surplus)) * total
    swaps = [max(block(work, i, 1 << k, power) for i in range(0, power, 1 << k)) for k in range(doublings)]
    if not surplus:
        return doublings, sum(swaps)
    folds = total + max(work.chunks[power:])
    return doublings + 2, sum(swaps) + folds + max(swaps, default=0)  # the largest meets a fold on a link


def passing(n: int) -> list[int]:
    """By round how many chunks a rank passes on in an all_to_all: those whose way has that bit set."""
    return [sum(way >> k & 1 for way in range(1, n)) for k in range(rounds(n))]


def block(work: Work, start: int, length: int, power: int) -> int:
    """Bytes of the chunks of places ``start`` to ``start + length``, those of surplus ranks among them."""
    n, before = len(work.chunks), work.before
    folded = min(start + length + power, n), min(start + power, n)
    return before[start + length] - before[start] + before[folded[0]] - before[folded[1]]
