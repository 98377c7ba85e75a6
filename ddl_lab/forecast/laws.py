"""Three laws of scaling: what n nodes gain by Amdahl, by Gustafson, and by the universal scalability law.

``n`` nodes, speed-up S(n) = work a second of n nodes over that of one.

=========  ==========================================  ===========================================
law        S(n)                                        what it supposes
=========  ==========================================  ===========================================
Amdahl     n / (1 + s (n - 1))                         a part s of one node's time can't be shared
Gustafson  n - s (n - 1)                               the work grows with n, that part doesn't
USL        n / (1 + sigma (n - 1) + kappa n (n - 1))   besides, every pair of nodes costs something
=========  ==========================================  ===========================================

Amdahl 1967, Gustafson 1988; the third is Gunther's. Of a step that n nodes share, T1 / n of computing and a
ring all-reduce of S bytes, it is an identity: sigma = 2 S / (bandwidth T1), kappa = 2 latency / T1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Nodes = TypeVar("Nodes", float, "np.ndarray")  # one count, or a row of them


def amdahl(n: Nodes, serial: float) -> Nodes:
    """The speed-up of ``n`` nodes where a part ``serial`` of one node's time can't be shared."""
    return n / (1 + serial * (n - 1))


def gustafson(n: Nodes, serial: float) -> Nodes:
    """The speed-up of ``n`` nodes on n times the work, of which a part ``serial`` doesn't grow."""
    return n - serial * (n - 1)


def usl(n: Nodes, sigma: float, kappa: float) -> Nodes:
    """The speed-up of ``n`` nodes by the universal scalability law; without ``kappa`` it is Amdahl's."""
    return n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


def peak(sigma: float, kappa: float) -> float:
    """The count of nodes beyond which the law has the speed-up fall; infinite where ``kappa`` is 0."""
    if kappa <= 0:
        return math.inf
    return max(1.0, math.sqrt(max(0.0, 1 - sigma) / kappa))


def of_ring(
    step_s: float, nbytes: float, latency_s: float, bandwidth_bytes_per_s: float
) -> tuple[float, float]:
    """(sigma, kappa) of a step that takes one node ``step_s`` and ends in a ring all-reduce of ``nbytes``."""
    return 2 * nbytes / bandwidth_bytes_per_s / step_s, 2 * latency_s / step_s


def fit_amdahl(nodes: Sequence[float], speedups: Sequence[float]) -> float:
    """``serial`` of Amdahl's law, least squares in n / S - 1; ``ValueError`` as ``fit_usl``."""
    n, lost = _lost(nodes, speedups)
    return max(0.0, float(((n - 1) @ lost) / ((n - 1) @ (n - 1))))


def fit_gustafson(nodes: Sequence[float], speedups: Sequence[float]) -> float:
    """``serial`` of Gustafson's law, least squares in n - S; ``ValueError`` as ``fit_usl``."""
    n, _ = _lost(nodes, speedups)
    short = n - np.asarray(speedups, float)
    return max(0.0, float(((n - 1) @ short) / ((n - 1) @ (n - 1))))


def fit_usl(nodes: Sequence[float], speedups: Sequence[float]) -> tuple[float, float]:
    """(sigma, kappa), least squares in n / S - 1, in which the law is linear; neither below 0.

    Raises ``ValueError`` unless there are as many speed-ups, above 0, as nodes, and two counts above 1.
    """
    n, lost = _lost(nodes, speedups)
    if len({count for count in n if count > 1}) < 2:
        raise ValueError("fit_usl needs two counts of nodes above 1: it looks for two numbers")
    columns = np.stack([n - 1, n * (n - 1)], axis=1)
    sigma, kappa = np.linalg.lstsq(columns, lost, rcond=None)[0]
    if kappa < 0:
        return fit_amdahl(nodes, speedups), 0.0
    if sigma < 0:
        return 0.0, max(0.0, float((columns[:, 1] @ lost) / (columns[:, 1] @ columns[:, 1])))
    return float(sigma), float(kappa)


def _lost(nodes: Sequence[float], speedups: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The counts, and n / S - 1 of each, (k,): 0 where nothing is lost."""
    n, s = np.asarray(nodes, float), np.asarray(speedups, float)
    if n.shape != s.shape or n.ndim != 1:
        raise ValueError(f"nodes has shape {n.shape}, speedups {s.shape}: one row each, equally long")
    if not (n >= 1).all() or not (s > 0).all() or not (n > 1).any():
        raise ValueError("a fit takes counts of nodes from 1 on, one above 1, and speed-ups above 0")
    return n, n / s - 1
