"""An all_to_all of unequal parts: what passes when, by algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Rows:
    """``bytes[r][i]`` is what rank r has for rank i, (n, n)."""

    bytes: tuple[tuple[int, ...], ...]

    @cached_property
    def given(self) -> tuple[int, ...]:
        """What each rank has for all."""
        return tuple(map(sum, self.bytes))

    @cached_property
    def taken(self) -> tuple[int, ...]:
        """What all have for each rank."""
        return tuple(map(sum, zip(*self.bytes, strict=True)))

    @cached_property
    def laps(self) -> tuple[tuple[int, ...], ...]:
        """By step of a ring, by rank: what it passes on. First all of its own, later what has still to go."""
        n = len(self.bytes)
        passed = [[0] * n for _ in range(n - 1)]
        for origin, row in enumerate(self.bytes):
            left = self.given[origin] - row[origin]
            for step in range(n - 1):
                passed[step][(origin + step) % n] = left
                left -= row[(origin + step + 1) % n]
        return tuple(map(tuple, passed))

    @cached_property
    def hops(self) -> tuple[tuple[int, ...], ...]:
        """By round of Bruck's algorithm, by rank: what it passes on, which is what has that bit in its way.

        What has way w to go has gone w's lower bits when round k takes it 2^k ranks on.
        """
        n = len(self.bytes)
        passed = [[0] * n for _ in range((n - 1).bit_length())]
        for origin, row in enumerate(self.bytes):
            for way in range(1, n):
                for k in range(way.bit_length()):
                    if way >> k & 1:
                        passed[k][(origin + way % (1 << k)) % n] += row[(origin + way) % n]
        return tuple(map(tuple, passed))

    @cached_property
    def around(self) -> int:
        """Bytes one after another where all go around a ring: each step waits for both neighbours."""
        done = [0] * len(self.bytes)
        for sent in self.laps:
            came = [done[rank - 1] + sent[rank - 1] for rank in range(len(done))]
            done = [max(came[rank], came[(rank + 1) % len(done)]) for rank in range(len(done))]
        return max(done)

    @cached_property
    def hopping(self) -> int:
        """Likewise by Bruck's algorithm; a link that brings the last round's bytes is waited for, too."""
        n, came = len(self.bytes), [0] * len(self.bytes)
        done = came
        for k, sent in enumerate(self.hops):
            came = [max(done[rank - 2**k], came[rank]) + sent[rank - 2**k] for rank in range(n)]
            done = [max(came[rank], came[(rank + 2**k) % n]) for rank in range(n)]
        return max(done)

    @cached_property
    def flood(self) -> int:
        """The most bytes one after another where each rank sends all at once, to the next rank first.

        They leave a rank one after another, and enter one in the order in which their heads come.
        """
        n = len(self.bytes)
        heads: list[list[tuple[int, int]]] = [[] for _ in range(n)]  # by receiver: what left before; the size
        for source, row in enumerate(self.bytes):
            left = 0
            for target in (*range(source + 1, n), *range(source)):
                heads[target].append((left, row[target]))
                left += row[target]
        return max(map(_last_byte, heads))


def _last_byte(heads: list[tuple[int, int]]) -> int:
    """When the last byte has entered a rank, in bytes: a message waits for its head and for those before."""
    end = 0
    for left, size in sorted(heads):
        end = max(end, left) + size
    return end
