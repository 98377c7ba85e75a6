"""Whether predictions got better: how far off the earlier labs' were, and the later ones'."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ..counted import counted

FEWEST, ORDERS = 8, 2_000  # predictions beside their results; random orders that the real one is set beside


def off(dot: float) -> float:
    """By what factor a prediction was off, 1 for a right one, from measured / predicted."""
    return max(dot, 1 / dot)


@dataclass(frozen=True)
class Trend:
    """Earlier labs beside later ones: ``earlier_off`` and ``later_off`` are medians, 1 is right."""

    earlier: tuple[str, ...]
    later: tuple[str, ...]
    counts: tuple[int, int]
    earlier_off: float
    later_off: float
    by_chance: float  # of the same factors in random orders: the share that falls as much, or rises as much

    def __str__(self) -> str:
        told = (
            f"Predictions of {_span(self.earlier)} were off by a factor of {self.earlier_off:.3g} (median of "
            f"{self.counts[0]}), those of {_span(self.later)} by {self.later_off:.3g} (of {self.counts[1]}). "
        )
        return told + self._verdict()

    def _verdict(self) -> str:
        share = 100 * self.by_chance
        chance = f"In random orders {f'{share:.0f}' if share >= 1 else 'less than 1'} of 100 differ as much: "
        if self.by_chance > 0.05 or self.later_off == self.earlier_off:
            return f"{chance}that tells of no change, for better or worse."
        if self.later_off < self.earlier_off:
            return f"{chance}they got better, or the questions got easier for you."
        return f"{chance}they got worse, or the questions got harder."


def better(by_lab: Mapping[str, Sequence[float]]) -> Trend | None:
    """The trend over labs in their order; None where there are too few predictions, or one lab alone.

    ``by_lab``: measured / predicted of each prediction, above 0. The cut lies between two labs, so that as
    nearly as can be half of the predictions lie on either side, a quarter at least.
    """
    labs = [lab for lab in sorted(by_lab) if by_lab[lab]]
    offs = [[off(dot) for dot in by_lab[lab]] for lab in labs]
    counts = [len(factors) for factors in offs]
    total = sum(counts)
    if total < FEWEST or len(labs) < 2:
        return None
    cut = min(range(1, len(labs)), key=lambda k: abs(sum(counts[:k]) - total / 2))
    earlier, later = (list(itertools.chain(*part)) for part in (offs[:cut], offs[cut:]))
    if min(len(earlier), len(later)) < total / 4:
        return None
    return Trend(
        earlier=tuple(labs[:cut]),
        later=tuple(labs[cut:]),
        counts=(len(earlier), len(later)),
        earlier_off=median(earlier),
        later_off=median(later),
        by_chance=_by_chance(earlier, later),
    )


def _by_chance(earlier: Sequence[float], later: Sequence[float]) -> float:
    """Of so many random orders, the share in which the two medians differ by as large a factor."""
    drawn, both, first = random.Random(0), [*earlier, *later], len(earlier)
    found = off(median(earlier) / median(later)) * (1 - 1e-9)
    as_far = 1  # the real order is one of them
    for _ in range(ORDERS - 1):
        drawn.shuffle(both)
        as_far += off(median(both[:first]) / median(both[first:])) >= found
    return as_far / ORDERS


def told(by_lab: Mapping[str, Sequence[float]]) -> str:
    """The trend in words, or that there is too little to tell."""
    trend = better(by_lab)
    if trend is not None:
        return str(trend)
    count, labs = sum(map(len, by_lab.values())), sum(map(bool, by_lab.values()))
    here = f"{'is' if count == 1 else 'are'} {count or 'none'}"
    return (
        f"Whether predictions got better can't be told: that takes {FEWEST} beside their results, of two "
        f"labs or more and a quarter of them on either side; there {here}, of {counted(labs, 'lab')}."
    )


def _span(labs: Sequence[str]) -> str:
    return f"labs {labs[0]} to {labs[-1]}" if len(labs) > 1 else f"lab {labs[0]}"
