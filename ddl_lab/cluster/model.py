"""``Cluster``: the cost model of a described cluster, by which ``simulate`` advances its clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..counted import counted
from ..ranges import check_choice, check_count, check_number, check_ranks
from ..tables import html_table
from . import collectives, jitter, shown
from .collectives import Cost, Work
from .faults import BY_RANK, NEVER_S, check_faults, drawn_failure_s, left_by_rank
from .levels import NAME as TWO_LEVEL
from .speeds import Geometric, checked_speeds, geometric
from .work import Hosts, hosts_of

__all__ = ["Cluster", "Geometric", "geometric"]

# calibration.py stands on a higher floor: it enters ``measure`` here when it is imported.
CALIBRATIONS: dict[str, Callable[..., Cluster]] = {}


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster as a cost model: how fast each node computes, what a message costs, what goes wrong.

    A message of S bytes takes ``latency_s + S / bandwidth_bytes_per_s``; each node's outgoing and incoming
    link carries one message at a time (as in LogGP: Alexandrov et al. 1995). Hosts make messages
    between their nodes faster, and nothing else: each node has a link of its own to the other hosts too.

    The defaults are round numbers of a small data centre, no measurements: ``Cluster.measure()`` finds
    those of this machine. Raises ``ValueError`` for a value out of range, naming it.
    """

    speeds: float | Sequence[float] | Geometric = 10_000.0
    """Samples a second, above 0: one number for all nodes, one a node, or ``geometric(alpha)``."""
    flops_per_s: float = 1e11
    """Floating-point operations a second of one node, above 0, for ``node.compute(flops=…)``."""
    latency_s: float = 50e-6
    """Seconds until the first byte of a message arrives, 0 or more; 50 µs is a data-centre Ethernet."""
    bandwidth_bytes_per_s: float = 1e9
    """Bytes a second of each link and direction, above 0; 1e9 is about 10-gigabit Ethernet."""
    host_size: int | None = None
    """Nodes a host, 1 or more: ranks 0 to host_size - 1 share the first, and so on. None: one node a host."""
    host_latency_s: float = 5e-6
    """As ``latency_s``, between two nodes of one host, 0 or more."""
    host_bandwidth_bytes_per_s: float = 1e10
    """As ``bandwidth_bytes_per_s``, between two nodes of one host; 1e10 is about a memory copy."""
    jitter: str = "constant"
    """Random compute times about their mean, amount / speed: "constant" (always the mean), "exponential"
    (standard deviation = mean) or "lognormal"; each span drawn from (seed, rank, count of its spans)."""
    jitter_spread: float = 0.5
    """Standard deviation over mean of "lognormal", above 0."""
    seed: int = 0
    """Any whole number; decides all random times: the same seed, the same times, in any order of events."""
    slow: Mapping[int, float] = field(default_factory=dict)
    """Slow factor by rank, above 0: ``{3: 4.0}`` makes all that rank 3 computes take four times as long."""
    stalls: Mapping[int, tuple[int, float]] = field(default_factory=dict)
    """By rank (every, seconds), 1 or more and 0 or more: ``{2: (10, 0.5)}`` makes every 10th compute span of
    rank 2 0.5 s longer."""
    fails: Mapping[int, float] = field(default_factory=dict)
    """By rank the second, 0 or more, at which it dies, unless it has returned: the run ends with the
    ``WorkerError`` of a killed process, in ``simulate`` and in a paced ``run``. For attempt 0 alone."""
    mtbf_s: float | None = None
    """Mean seconds between failures of one node, above 0: each dies after an exponential time, drawn from
    (seed, attempt, rank). Of n nodes the first dies after mtbf_s / n in the mean. None: only ``fails``."""
    attempt: int = 0
    """Which attempt of ``keep_going`` this is, 0 or more: it decides which failures are drawn."""
    algorithm: str = "ring"
    """How collectives are done: "ring", "direct", "doubling", "tree" (``collectives.py`` has the formulas);
    "two-level", inside the hosts and between them (``levels.py``), where a group has equally many ranks on
    several hosts, and elsewhere a ring; or "auto": the one that costs least; spans then say which."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "speeds", checked_speeds(self.speeds))
        check_number("flops_per_s", self.flops_per_s)
        for name in ("latency_s", "host_latency_s"):
            check_number(name, getattr(self, name), "seconds", least=0)
        for name in ("bandwidth_bytes_per_s", "host_bandwidth_bytes_per_s"):
            check_number(name, getattr(self, name), "bytes/s")
        if self.host_size is not None:
            check_count("host_size", self.host_size, "or None for one node a host")
        check_choice("jitter", self.jitter, jitter.KINDS)
        check_number("jitter_spread", self.jitter_spread, "times the mean")
        if type(self.seed) is not int:
            raise ValueError(f"seed={self.seed!r}: it takes a whole number.")
        check_choice("algorithm", self.algorithm, (*collectives.ALGORITHMS, TWO_LEVEL, "auto"))
        check_faults(self.slow, self.stalls, self.fails)
        if self.mtbf_s is not None:
            check_number("mtbf_s", self.mtbf_s, "seconds, or None for nodes that don't fail")
        if type(self.attempt) is not int or self.attempt < 0:
            raise ValueError(f"attempt={self.attempt!r}: it takes a whole number from 0 up.")
        for name in BY_RANK:  # a copy: what is checked stays as it is
            object.__setattr__(self, name, dict(getattr(self, name)))

    @classmethod
    def measure(cls, transport: str = "auto", nodes: int = 2, tries: int = 1) -> Cluster:
        """This machine as a ``Cluster``, measured in under ten seconds a try: see ``calibration.measure``."""
        if not CALIBRATIONS:
            raise RuntimeError("nothing is loaded that measures: import ddl_lab before Cluster.measure()")
        return CALIBRATIONS["measure"](transport, nodes, tries)

    def check_nodes(self, nodes: int) -> None:
        """Raise ``ValueError`` unless this cluster describes ``nodes`` nodes."""
        if isinstance(self.speeds, Sequence) and len(self.speeds) != nodes:
            raise ValueError(
                f"speeds has {counted(len(self.speeds), 'entry', 'entries')} for {counted(nodes, 'node')}: "
                "give one a node, a single number, or geometric(alpha)."
            )
        if isinstance(self.speeds, Geometric):
            self.speeds.check_nodes(nodes)
        for name in BY_RANK:
            check_ranks(name, getattr(self, name), nodes)

    def fails_s(self, rank: int) -> float:
        """Seconds after the start at which ``rank`` dies in this attempt; infinite where it does not."""
        at_s = self.fails.get(rank, NEVER_S) if self.attempt == 0 else NEVER_S
        if self.mtbf_s is None:
            return at_s
        return min(at_s, drawn_failure_s(self.mtbf_s, self.seed, self.attempt, rank))

    def failing(self, rank: int) -> str:
        """Why ``rank`` dies in this attempt, as the cluster is written."""
        at_s = self.fails_s(rank)
        if self.attempt == 0 and self.fails.get(rank) == at_s:
            return f"fails={{{rank}: {at_s:g}}}"
        told = f", attempt={self.attempt}" if self.attempt else ""
        return f"mtbf_s={self.mtbf_s:g} with seed={self.seed}{told} lets it fail after {at_s:.4g} s"

    def of_ranks(self, ranks: Sequence[int]) -> Cluster:
        """The cluster of these of its ranks alone, renumbered 0, 1, … in the order given; each keeps its
        speed, and what goes wrong with it."""
        changes: dict[str, Any] = {name: left_by_rank(getattr(self, name), ranks) for name in BY_RANK}
        if isinstance(self.speeds, Sequence | Geometric):
            changes["speeds"] = [self.speed(rank) for rank in ranks]
        return replace(self, **changes)

    def speed(self, rank: int) -> float:
        """Samples a second of ``rank`` in the mean, its slow factor aside."""
        if isinstance(self.speeds, Sequence):
            return float(self.speeds[rank])
        return self.speeds(rank) if isinstance(self.speeds, Geometric) else float(self.speeds)

    def compute_s(self, rank: int, unit: str, amount: float) -> float:
        """Mean seconds that ``rank`` needs for ``amount`` samples, flops or seconds of work."""
        if unit == "samples":
            amount /= self.speed(rank)
        elif unit == "flops":
            amount /= self.flops_per_s
        return amount * self.slow.get(rank, 1.0)

    def span_s(self, rank: int, unit: str, amount: float, count: int) -> float:
        """Seconds that the ``count``-th compute span of ``rank`` takes; spans count from 1."""
        seconds = self.compute_s(rank, unit, amount)
        if self.jitter != "constant":
            seconds *= jitter.factor(self.jitter, self.jitter_spread, self.seed, rank, count)
        if rank in self.stalls:
            every, stall_s = self.stalls[rank]
            seconds += stall_s if count % every == 0 else 0.0
        return seconds

    def link(self, one: int, other: int) -> tuple[float, float]:
        """Latency in seconds and bandwidth in bytes/s between two ranks."""
        if self.host_size is not None and one // self.host_size == other // self.host_size:
            return self.host_latency_s, self.host_bandwidth_bytes_per_s
        return self.latency_s, self.bandwidth_bytes_per_s

    def _slowest_link(self, ranks: Sequence[int]) -> tuple[float, float]:
        """The host's link where all ``ranks`` are on one host, else the one between hosts."""
        return self.link(min(ranks), max(ranks)) if ranks else (self.latency_s, self.bandwidth_bytes_per_s)

    def hosts(self, ranks: Sequence[int]) -> Hosts | None:
        """Which of ``ranks`` share a host, as places in ``ranks``, host by host.

        None where that makes no two levels: one host, one rank a host, or hosts with unequally many.
        """
        return hosts_of(tuple(ranks), self.host_size) if self.host_size and len(ranks) > 1 else None

    def _choices(self, work: Work, ranks: Sequence[int]) -> dict[str, float]:
        """Seconds of ``work`` by algorithm."""
        inside = self.host_latency_s, self.host_bandwidth_bytes_per_s
        return collectives.choices(work, inside, self._slowest_link(ranks), self.hosts(ranks))

    def priced(self, work: Work, ranks: Sequence[int] = ()) -> tuple[str, float]:
        """The algorithm that does ``work`` and its seconds after the last of ``ranks`` has entered.

        A group on one host has that host's links. A group over several hosts pays the link between hosts
        for each message, which is exact for a ring and an upper bound for the other algorithms of one
        level; that of two levels has each level's own links.
        """
        if self.algorithm in collectives.ALGORITHMS:
            return self.algorithm, collectives.seconds(self.algorithm, work, *self._slowest_link(ranks))
        choices = self._choices(work, ranks)
        if self.algorithm == TWO_LEVEL:
            choices = {a: s for a, s in choices.items() if a == TWO_LEVEL} or {"ring": choices["ring"]}
        return min(choices.items(), key=lambda item: item[1])

    def collective_s(self, work: Work, ranks: Sequence[int] = ()) -> float:
        """Seconds of a collective after its last node has entered."""
        return self.priced(work, ranks)[1]

    def cost(self, name: str, nbytes: int, nodes: int) -> Cost:
        """What the collective ``name`` on a whole tensor of ``nbytes`` costs ranks 0 to nodes - 1.

        ``name``: all_reduce, reduce_scatter, all_gather, broadcast, reduce, gather, scatter, all_to_all or
        barrier; ``nbytes``: of gather and scatter all ranks' together, of all_to_all one rank's.
        ``.seconds``, ``.algorithm``, ``.bytes`` and ``.messages`` (sent by the rank that sends most),
        ``.choices``: the seconds of each algorithm. Raises ``ValueError``.
        """
        check_choice("name", name, collectives.NAMES)
        check_count("nodes", nodes, "the group's size")
        check_number("nbytes", nbytes, "bytes", least=0)
        work = collectives.even_work(name, 0 if name == "barrier" else int(nbytes), nodes, 1)
        chosen, seconds = self.priced(work, range(nodes))
        sent = [collectives.traffic(chosen, work, rank) for rank in range(nodes)]
        choices = self._choices(work, range(nodes))
        return Cost(seconds, chosen, max(s[0] for s in sent), max(s[1] for s in sent), choices)

    def __repr__(self) -> str:
        """What is unlike the defaults, as it is written."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        told = [f"{name}={v!r}" for name, v in values.items() if v != getattr(_USUAL, name, None)]
        return f"{type(self).__name__}({', '.join(told)})"

    def _repr_html_(self) -> str:
        return html_table("Cluster: a cost model", self._rows())

    def _rows(self) -> list[shown.Row]:
        return list(shown.rows(self))


_USUAL = Cluster()
