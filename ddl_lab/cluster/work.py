"""What a collective has to move: its name, each rank's bytes, and which ranks share a host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

from .rows import Rows

NAMES = (
    "all_reduce", "reduce_scatter", "all_gather", "broadcast", "barrier",
    "reduce", "gather", "scatter", "all_to_all",
)  # fmt: skip

Hosts = tuple[tuple[int, ...], ...]  # the ranks of a group, host by host, equally many on each


@dataclass(frozen=True)
class Work:
    """A collective to be costed: its name, each rank's chunk in bytes, and its root, if it has one.

    all_reduce, broadcast and reduce of S bytes: chunks are the n nearly equal pieces of the tensor.
    all_to_all: chunk i is what each rank has for rank i; where ranks differ there are ``rows``, and
    each chunk is the largest of them.
    """

    name: str
    chunks: tuple[int, ...]
    root: int = 0
    rows: Rows | None = None

    @cached_property
    def total(self) -> int:
        """Bytes of the whole tensor."""
        return sum(self.chunks)

    @cached_property
    def before(self) -> tuple[int, ...]:
        """Bytes of all chunks before chunk i; one entry more than there are chunks."""
        return tuple(accumulate(self.chunks, initial=0))

    @cached_property
    def placed(self) -> Work:
        """The same with the root first: place p is rank (p + root) mod n."""
        return Work(self.name, self.chunks[self.root :] + self.chunks[: self.root]) if self.root else self

    @property
    def given(self) -> tuple[int, ...]:
        """Of an all_to_all: what each rank has for all."""
        return self.rows.given if self.rows else (self.total,) * len(self.chunks)

    @property
    def taken(self) -> tuple[int, ...]:
        """Of an all_to_all: what all have for each rank."""
        return self.rows.taken if self.rows else tuple(len(self.chunks) * c for c in self.chunks)


def all_to_all_work(rows: tuple[tuple[int, ...], ...]) -> Work:
    """The work of an all_to_all in which rank r has ``rows[r][i]`` bytes for rank i."""
    chunks = tuple(map(max, zip(*rows, strict=True)))
    equal = len({chunk for row in rows for chunk in row}) == 1
    return Work("all_to_all", chunks, rows=None if equal else Rows(rows))


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


# A binomial tree: place p's parent lacks its lowest set bit, and stands at 0 in the end.


def children(place: int, n: int) -> list[int]:
    """Places of the children of ``place``: place + 2^k below its lowest set bit."""
    limit = (place & -place) or (1 << rounds(n))
    return [place + (1 << k) for k in range(limit.bit_length() - 1) if place + (1 << k) < n]


def subtree(work: Work, place: int) -> int:
    """Bytes of the chunks at and below ``place``; the root's chunk comes first."""
    n = len(work.chunks)
    return work.before[min(place + ((place & -place) or n), n)] - work.before[place]


def climbs(work: Work) -> Iterator[int]:
    """By round the largest message, in bytes, where all chunks climb to place 0 or come down from it."""
    n = len(work.chunks)
    for k in range(rounds(n)):
        yield max(subtree(work, place) for place in range(1 << k, n, 2 << k))


@lru_cache(maxsize=64)
def hosts_of(ranks: tuple[int, ...], host_size: int) -> Hosts | None:
    """The places in ``ranks`` by host, ranks of one host being alike // ``host_size``.

    None where there are no two levels: one host, a rank a host, or hosts with unequally many.
    """
    found: dict[int, list[int]] = {}
    for place, rank in enumerate(ranks):
        found.setdefault(rank // host_size, []).append(place)
    sizes = {len(places) for places in found.values()}
    if len(found) == 1 or len(sizes) > 1 or sizes == {1}:
        return None
    return tuple(map(tuple, found.values()))
