"""Two levels: collectives done inside the hosts and between them, each byte over the slow links once.

h hosts of m ranks, n = h m. Rank j of each host works with rank j of every other: m groups, each with a
link of its own for each rank. An all-reduce is a reduce-scatter inside, an all-reduce between, an
all-gather inside, all of them rings: 2(m-1)(a' + b'S/m) + 2(h-1)(a + bS/n), where a' and b' are the links
inside a host (Mikami et al. 2018, "2D-torus", with hosts for rows).

============  ==================================  ==================================
collective    inside the hosts                    between them
============  ==================================  ==================================
all_reduce    ring reduce_scatter, all_gather     ring all_reduce of S/m
barrier       as an all_reduce of nothing
reduce_sc…    first, ring: S                      then, ring: S/m
all_gather    then, ring: S                       first, ring: S/m
broadcast     then, tree                          first, tree: the root's counterparts
reduce        first, tree                         then, tree: the root's counterparts
gather        first, tree                         then, tree: the root's counterparts
scatter       then, tree                          first, tree: the root's counterparts
all_to_all    first, direct: by place in a host   then, direct: by host
============  ==================================  ==================================

Exact where chunks are equal. Elsewhere each stage is charged at its slowest, and a rank that is ahead may
hold up the link of one that is not: some per cent either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from .work import Hosts, Work, all_to_all_work, even_chunks

NAME = "two-level"
INSIDE, BETWEEN = 0, 1
Link = tuple[float, float]  # latency in seconds, bytes a second
Stage = tuple[int, str, Work, int]  # the level, its algorithm, its work, this rank's place in it
Bytes = tuple[tuple[int, ...], ...]  # by sender, by receiver
Price = Callable[[str, Work, float, float], float]
Count = Callable[[str, Work, int], tuple[int, int]]


class TwoLevel(str):
    """The algorithm "two-level" of one group: its name, and which ranks of the group share a host."""

    hosts: Hosts

    def __new__(cls, hosts: Hosts) -> TwoLevel:
        made = super().__new__(cls, NAME)
        made.hosts = hosts
        return made


def stages(work: Work, hosts: Hosts, host: int, place: int) -> Iterator[Stage]:
    """What rank ``place`` of ``host`` takes part in, in order; a root's counterparts alone are between."""
    name = work.name
    if name in ("all_reduce", "barrier", "reduce_scatter", "all_gather"):
        yield from _rings(work, hosts, host, place)
    elif work.rows:
        inside, between = _rows(work.rows.bytes, hosts, host, place)
        yield INSIDE, "direct", inside, place
        yield BETWEEN, "direct", between, host
    elif name == "all_to_all":
        there = _cells(work, hosts)
        yield INSIDE, "direct", Work(name, tuple(map(sum, there))), place
        yield BETWEEN, "direct", Work(name, tuple(len(there) * chunk for chunk in there[place])), host
    else:
        at_host, at_place = _homes(hosts)[work.root]
        both = [(INSIDE, "tree", Work(name, _held(work, hosts, host), at_place), place)]
        if place == at_place:
            both.append((BETWEEN, "tree", Work(name, _sums(work, hosts), at_host), host))
        yield from both if name in ("reduce", "gather") else reversed(both)


def _rings(work: Work, hosts: Hosts, host: int, place: int) -> Iterator[Stage]:
    there = _cells(work, hosts)
    inside, between = tuple(map(sum, there)), there[place]
    if work.name != "all_gather":
        yield INSIDE, "ring", Work("reduce_scatter", inside), place
    all_reduces = work.name in ("all_reduce", "barrier")
    yield BETWEEN, "ring", Work("all_reduce" if all_reduces else work.name, between), host
    if work.name != "reduce_scatter":
        yield INSIDE, "ring", Work("all_gather", inside), place


@lru_cache(maxsize=64)
def _cells(work: Work, hosts: Hosts) -> tuple[tuple[int, ...], ...]:
    """By place in a host, by host: the chunk that ends there; of what all get, one piece after another."""
    if work.name in ("all_reduce", "barrier"):
        count = len(hosts)
        return tuple(work.chunks[p * count : (p + 1) * count] for p in range(len(hosts[0])))
    return tuple(tuple(work.chunks[rank] for rank in column) for column in zip(*hosts, strict=True))


def _rows(rows: Bytes, hosts: Hosts, host: int, place: int) -> tuple[Work, Work]:
    """Of an all_to_all of unequal rows: a host's exchange by place, and that by host of a place."""
    inside = [
        [sum(rows[rank][r] for r in column) for column in zip(*hosts, strict=True)] for rank in hosts[host]
    ]
    between = [[sum(rows[rank][to[place]] for rank in ranks) for to in hosts] for ranks in hosts]
    return all_to_all_work(tuple(map(tuple, inside))), all_to_all_work(tuple(map(tuple, between)))


@lru_cache(maxsize=64)
def _homes(hosts: Hosts) -> dict[int, tuple[int, int]]:
    """By rank of the group: its host, and its place there."""
    return {rank: (host, place) for host, ranks in enumerate(hosts) for place, rank in enumerate(ranks)}


def _held(work: Work, hosts: Hosts, host: int) -> tuple[int, ...]:
    """Bytes by rank of a host: its own chunk, or its part of a tensor that is sent whole."""
    if work.name in ("gather", "scatter"):
        return tuple(work.chunks[rank] for rank in hosts[host])
    return even_chunks(work.total, len(hosts[0]))


def _sums(work: Work, hosts: Hosts) -> tuple[int, ...]:
    """Bytes by host, likewise."""
    if work.name in ("gather", "scatter"):
        return tuple(sum(_held(work, hosts, host)) for host in range(len(hosts)))
    return even_chunks(work.total, len(hosts))


@lru_cache(maxsize=64)
def seconds(work: Work, hosts: Hosts, inside: Link, between: Link, price: Price) -> float:
    """How long ``work`` takes, each stage at its slowest; ``price`` is that of one level."""
    at_host, at_place = _homes(hosts)[work.root]
    ranks = {(at_host, place) for place in range(len(hosts[0]))} | {(h, at_place) for h in range(len(hosts))}
    if work.rows:
        ranks = set(_homes(hosts).values())
    slowest: dict[tuple[int, str], float] = {}
    for host, place in ranks:
        for level, algorithm, part, _ in stages(work, hosts, host, place):
            key = level, part.name
            taken_s = price(algorithm, part, *(between if level else inside))
            slowest[key] = max(slowest.get(key, 0.0), taken_s)
    return sum(slowest.values())


def traffic(work: Work, hosts: Hosts, rank: int, count: Count) -> tuple[int, int]:
    """(bytes, messages) that ``rank`` of the group sends; ``count`` is that of one level."""
    parts = [
        count(algorithm, part, at) for _, algorithm, part, at in stages(work, hosts, *_homes(hosts)[rank])
    ]
    return sum(nbytes for nbytes, _ in parts), sum(messages for _, messages in parts)
