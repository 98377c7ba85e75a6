"""What DP-SGD is worth: the epsilon of Gaussian noise on Poisson-sampled sums (Rényi accounting).

For every whole order a >= 2 one step costs

    log( sum over k of binomial(a, k) (1 - q)^(a - k) q^k exp((k^2 - k) / (2 sigma^2)) ) / (a - 1),

steps add up, and of the orders the best is taken. ``opacus`` 1.6.0 finds the same for whole orders; it tries
broken ones, too, and comes a little lower: tests/training/test_privacy.py has its figures.
"""

from __future__ import annotations

import math

from ..ranges import check_number

ORDERS = range(2, 257)


def epsilon(rate: float, sigma: float, steps: int, delta: float = 1e-4) -> float:
    """An epsilon for which ``steps`` steps of DP-SGD are (epsilon, delta)-private; inf without noise.

    rate: the probability q with which a sample joins a step. sigma: the noise's deviation over the clip.
    Raises ``ValueError`` for numbers out of range.
    """
    for name, value in (("rate", rate), ("delta", delta), ("steps", steps)):
        check_number(name, value)
    if rate > 1 or delta >= 1 or not sigma >= 0:
        raise ValueError(
            f"rate={rate!r}, delta={delta!r}, sigma={sigma!r}: it takes rate up to 1, delta below 1, and "
            "sigma from 0 up"
        )
    if sigma == 0:
        return math.inf
    return max(0.0, min(_converted(steps * cost(rate, sigma, order), order, delta) for order in ORDERS))


def cost(rate: float, sigma: float, order: int) -> float:
    """One step's Rényi divergence of a whole ``order``, from 2 up."""
    if rate == 1:
        return order / (2 * sigma**2)
    logs = [
        math.lgamma(order + 1) - math.lgamma(k + 1) - math.lgamma(order - k + 1)
        + (order - k) * math.log1p(-rate) + k * math.log(rate) + (k * k - k) / (2 * sigma**2)
        for k in range(order + 1)
    ]  # fmt: skip
    most = max(logs)  # a sum of exponentials, none of which overflows
    return (most + math.log(sum(math.exp(log - most) for log in logs))) / (order - 1)


def _converted(divergence: float, order: int, delta: float) -> float:
    """The epsilon that a divergence of this order means at ``delta``."""
    return divergence - (math.log(delta) + math.log(order)) / (order - 1) + math.log1p(-1 / order)
