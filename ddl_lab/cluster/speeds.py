"""How fast the nodes of a cluster compute: the article's geometric speeds, and the check of any others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..ranges import check_number


@dataclass(frozen=True)
class Geometric:
    """Node i computes ``first * alpha**i`` samples a second: the article's v_i (section 4.1)."""

    alpha: float
    first: float = 10_000.0

    def __call__(self, rank: int) -> float:
        """Samples a second of ``rank``."""
        return float(self.first * self.alpha**rank)

    def __repr__(self) -> str:
        return f"geometric({self.alpha!r}, first={self.first!r})"

    def check_nodes(self, nodes: int) -> None:
        """Raise ``ValueError`` where the last of ``nodes`` would be too slow or too fast for a float."""
        exponent = math.log10(self.first) + (nodes - 1) * math.log10(self.alpha)
        if abs(exponent) > 300:
            raise ValueError(
                f"geometric({self.alpha!r}) gives rank {nodes - 1} 1e{exponent:.0f} samples/s: "
                "take fewer nodes, or an alpha nearer to 1."
            )


def geometric(alpha: float, first: float = 10_000.0) -> Geometric:
    """Speeds v_i = first * alpha^i in samples a second, 0 < alpha: for ``Cluster(speeds=…)``."""
    check_number("alpha", alpha)
    check_number("first", first, "samples/s")
    return Geometric(float(alpha), float(first))


def checked_speeds(speeds: Any) -> Any:
    """``speeds`` as a cluster keeps them: a number, a tuple of numbers, or ``Geometric``.

    A list, an array or a tensor is kept as it is now. Raises ``ValueError`` for rates not above 0.
    """
    if isinstance(speeds, Iterable):
        listed = speeds.tolist() if hasattr(speeds, "tolist") else speeds
        speeds = tuple(listed) if isinstance(listed, Iterable) else listed
    if isinstance(speeds, Sequence):
        for rank, speed in enumerate(speeds):
            check_number(f"speeds[{rank}]", speed, "samples/s")
    elif not isinstance(speeds, Geometric):
        check_number("speeds", speeds, "samples/s")
    return speeds
