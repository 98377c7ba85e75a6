"""How a cluster shows itself in a notebook: the rows of its table, of which most tell what is unusual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..tables import in_words
from .speeds import Geometric

if TYPE_CHECKING:
    from .model import Cluster

Row = tuple[str, str]


def rows(cluster: Cluster) -> Iterator[Row]:
    """What every cluster has, and what is unlike the defaults."""
    yield "computes", f"{_speeds(cluster)}, {in_words(cluster.flops_per_s, 'FLOP/s')}"
    yield "a message", _link(cluster.latency_s, cluster.bandwidth_bytes_per_s)
    if cluster.host_size is not None:
        link = _link(cluster.host_latency_s, cluster.host_bandwidth_bytes_per_s)
        yield f"… within a host of {cluster.host_size}", link
    if cluster.jitter != "constant":
        spread = f", spread {cluster.jitter_spread:g}" if cluster.jitter == "lognormal" else ""
        yield "compute times", f"{cluster.jitter}{spread}, seed {cluster.seed}"
    yield from _faults(cluster)
    yield "collectives", cluster.algorithm


def _speeds(cluster: Cluster) -> str:
    speeds = cluster.speeds
    if isinstance(speeds, Geometric):
        return f"{in_words(speeds.first, 'samples/s')} · {speeds.alpha:g}^rank"
    if isinstance(speeds, Sequence):
        return f"{min(speeds, default=0):,.4g} to {in_words(max(speeds, default=0), 'samples/s')}"
    return in_words(speeds, "samples/s")


def _link(latency_s: float, bandwidth: float) -> str:
    return f"{in_words(latency_s, 's')} + bytes / ({in_words(bandwidth, 'B/s')})"


def _faults(cluster: Cluster) -> Iterator[Row]:
    for rank, factor in cluster.slow.items():
        yield f"rank {rank}", f"takes {factor:g} times as long"
    for rank, (every, stall_s) in cluster.stalls.items():
        yield f"rank {rank}", f"stalls {in_words(stall_s, 's')} every {every} spans"
    for rank, at_s in cluster.fails.items():
        yield f"rank {rank}", f"fails at {in_words(at_s, 's')}"
    if cluster.mtbf_s is not None:
        yield "each node fails", f"every {in_words(cluster.mtbf_s, 's')} in the mean, seed {cluster.seed}"
