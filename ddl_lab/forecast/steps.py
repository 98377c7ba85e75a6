"""A synchronous step by formula: how long on n nodes, how much faster than on one, within which bounds"""

from __future__ import annotations

from ..cluster import collectives
from ..cluster.model import Cluster

BACKWARD = 2 / 3  # of a step's computing: two products a layer of three


def step_s(cluster: Cluster, nodes: int, samples: float, nbytes: int) -> float:
    """Seconds of a step of ``samples`` that ``nodes`` share, then an all-reduce of ``nbytes``, unhidden."""
    return samples / nodes / cluster.speed(0) + exchange_s(cluster, nodes, nbytes)


def exchange_s(cluster: Cluster, nodes: int, nbytes: int) -> float:
    """Seconds of an all-reduce of ``nbytes``: those of ``cluster.cost``, without counting what ranks send."""
    work = collectives.even_work("all_reduce", nbytes, nodes, 1)
    return cluster.collective_s(work, range(nodes))


def strong(cluster: Cluster, nodes: int, samples: float, nbytes: int) -> float:
    """The speed-up of ``nodes`` nodes on a step of ``samples`` altogether."""
    return samples / cluster.speed(0) / step_s(cluster, nodes, samples, nbytes)


def weak(cluster: Cluster, nodes: int, samples: float, nbytes: int) -> float:
    """The speed-up of ``nodes`` nodes on a step of ``samples`` each."""
    return nodes * samples / cluster.speed(0) / step_s(cluster, nodes, nodes * samples, nbytes)


def bracket(compute_s: float, exchange_s: float, hidden: float = BACKWARD) -> tuple[float, float]:
    """Between which efficiencies a node lies that computes ``compute_s`` and exchanges ``exchange_s`` a step.

    The lower one: no part of the exchange is hidden. The upper one: it hides behind a part ``hidden`` of the
    computing, all of the backward pass unless told.
    """
    left_s = max(0.0, exchange_s - hidden * compute_s)
    return compute_s / (compute_s + exchange_s), compute_s / (compute_s + left_s)
