"""``Cluster``: the cost model of a described cluster, by which ``simulate`` advances its clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real

from . import collectives
from .collectives import Work


@dataclass(frozen=True)
class Geometric:
    """Node i computes ``first * alpha**i`` samples a second: the article's v_i (section 4.1)."""

    alpha: float
    first: float = 10_000.0

    def __call__(self, rank: int) -> float:
        """Samples a second of ``rank``."""
        return float(self.first * self.alpha**rank)

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
    _positive("alpha", alpha)
    _positive("first", first, "samples/s")
    return Geometric(float(alpha), float(first))


def _positive(name: str, value: float, unit: str = "") -> None:
    """Refuse what is no finite number above zero; zero latency is allowed where the name says so."""
    least_ok = 0.0 if name == "latency_s" else math.nextafter(0.0, 1.0)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < least_ok:
        bound = "0 or more" if name == "latency_s" else "above 0"
        raise ValueError(f"{name}={value!r}: it takes a finite number {bound}{unit and ' ' + unit}.")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster as a cost model: how fast each node computes, what a message costs.

    A message of S bytes takes ``latency_s + S / bandwidth_bytes_per_s``; each node's outgoing and incoming
    link carries one message at a time (LogGP: Culler et al. 1993, with long messages).

    Raises ``ValueError`` for a value out of range, naming it.
    """

    speeds: float | Sequence[float] | Geometric = 10_000.0
    """Samples a second: one number for all nodes, one a node, or ``geometric(alpha)``."""
    flops_per_s: float = 1e11
    """Floating-point operations a second of one node, for ``node.compute(flops=…)``."""
    latency_s: float = 50e-6
    """Seconds until the first byte of a message arrives; 50 µs is a data-centre Ethernet."""
    bandwidth_bytes_per_s: float = 1e9
    """Bytes a second of each link, per direction; 1e9 is about 10-gigabit Ethernet."""
    slow: Mapping[int, float] = field(default_factory=dict)
    """Slow factor by rank: ``{3: 4.0}`` makes everything that rank 3 computes take four times as long."""
    algorithm: str = "ring"
    """How collectives are done: "ring", "direct" or "tree" (``collectives.py`` has the formulas)."""

    def __post_init__(self) -> None:
        if isinstance(self.speeds, Iterable):  # a list, an array or a tensor: kept as it is now
            listed = self.speeds.tolist() if hasattr(self.speeds, "tolist") else self.speeds
            object.__setattr__(self, "speeds", tuple(listed) if isinstance(listed, Iterable) else listed)
        for rank, speed in enumerate(self.speeds if isinstance(self.speeds, Sequence) else ()):
            _positive(f"speeds[{rank}]", speed, "samples/s")
        if not isinstance(self.speeds, Sequence | Geometric):
            _positive("speeds", self.speeds, "samples/s")
        _positive("flops_per_s", self.flops_per_s)
        _positive("latency_s", self.latency_s, "seconds")
        _positive("bandwidth_bytes_per_s", self.bandwidth_bytes_per_s, "bytes/s")
        if not isinstance(self.slow, Mapping) or not all(type(rank) is int for rank in self.slow):
            raise ValueError(f"slow={self.slow!r}: it takes factors by rank, as in slow={{3: 4.0}}.")
        for rank, factor in self.slow.items():
            _positive(f"slow[{rank}]", factor, "times as long")
        if self.algorithm not in collectives.ALGORITHMS:
            known = ", ".join(collectives.ALGORITHMS)
            raise ValueError(f"algorithm={self.algorithm!r}: choose one of {known}.")

    def check_nodes(self, nodes: int) -> None:
        """Raise ``ValueError`` unless this cluster describes ``nodes`` nodes."""
        if isinstance(self.speeds, Sequence) and len(self.speeds) != nodes:
            raise ValueError(
                f"speeds has {len(self.speeds)} entries for {nodes} nodes: give one a node, a single "
                "number, or geometric(alpha)."
            )
        if isinstance(self.speeds, Geometric):
            self.speeds.check_nodes(nodes)
        outside = [rank for rank in self.slow if not 0 <= rank < nodes]
        if outside:
            raise ValueError(f"slow names rank {outside[0]}: ranks of {nodes} nodes are 0 to {nodes - 1}.")

    def speed(self, rank: int) -> float:
        """Samples a second of ``rank``, its slow factor aside."""
        if isinstance(self.speeds, Sequence):
            return float(self.speeds[rank])
        return self.speeds(rank) if isinstance(self.speeds, Geometric) else float(self.speeds)

    def compute_s(self, rank: int, unit: str, amount: float) -> float:
        """Seconds that ``rank`` needs for ``amount`` samples, flops or seconds of work."""
        rate = {"samples": self.speed(rank), "flops": self.flops_per_s, "seconds": 1.0}[unit]
        return amount / rate * self.slow.get(rank, 1.0)

    def message_s(self, nbytes: int) -> float:
        """Seconds that a message of ``nbytes`` takes on free links."""
        return self.latency_s + nbytes / self.bandwidth_bytes_per_s

    def collective_s(self, work: Work) -> float:
        """Seconds of a collective after its last node has entered."""
        return collectives.seconds(self.algorithm, work, self.latency_s, self.bandwidth_bytes_per_s)
