"""Random compute times: factors of mean 1, drawn from (seed, rank, count) and from nothing else.

No generator keeps a state: the k-th compute span of a rank has the same factor however the nodes are
scheduled, how many there are, and whatever they communicate. The bits are those of SplitMix64's mixing
function (Steele, Lea and Flood 2014).
"""

from __future__ import annotations

import math
from statistics import NormalDist

KINDS = ("constant", "exponential", "lognormal")

_MASK = 2**64 - 1
_NORMAL = NormalDist()


def uniform(seed: int, rank: int, count: int) -> float:
    """A number above 0 and below 1, the same for the same arguments on every machine."""
    bits = _mixed(_mixed(_mixed(seed & _MASK) ^ rank) ^ count)
    return ((bits >> 12) + 0.5) * 2.0**-52


def _mixed(bits: int) -> int:
    bits = (bits + 0x9E3779B97F4A7C15) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def factor(kind: str, spread: float, seed: int, rank: int, count: int) -> float:
    """How many times its mean the ``count``-th compute span of ``rank`` takes.

    "exponential": mean and standard deviation 1, so the largest of n has mean 1 + 1/2 + … + 1/n.
    "lognormal": mean 1, standard deviation ``spread``. "constant": 1.
    """
    if kind == "constant":
        return 1.0
    drawn = uniform(seed, rank, count)
    if kind == "exponential":
        return -math.log(drawn)
    variance = math.log1p(spread * spread)  # of the logarithm
    return math.exp(math.sqrt(variance) * _NORMAL.inv_cdf(drawn) - variance / 2)
