"""The timeline of many ranks: which share of them computes, communicates and waits, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .curves import Array
from .lanes import WORK, Lanes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .window import Window

BINS = 600  # about a pixel each
PATH_Y = (1.04, 1.12)  # where the critical path lies, above all shares


def shares_over_time(lanes: Lanes, nodes: int, window: Window, bins: int = BINS) -> tuple[Array, Array]:
    """Edges (bins + 1,) in seconds, and the mean share of nodes in each kind of work, (3, bins).

    Messages that move beside other work do not count: a node does one thing at a time.
    """
    edges = np.linspace(window.start_s, window.end_s, bins + 1)
    shares = np.empty((len(WORK), bins))
    for work in range(len(WORK)):
        chosen = (lanes.work == work) & ~lanes.behind
        worked = _seconds_until(edges, lanes.start_s[chosen]) - _seconds_until(edges, lanes.end_s[chosen])
        shares[work] = np.diff(worked) / (np.diff(edges) * nodes)
    return edges, shares


def _seconds_until(edges: Array, times: Array) -> Array:
    """At each edge: the sum over the earlier ``times`` of how long ago they were."""
    times = np.sort(times)
    before = np.searchsorted(times, edges)
    return edges * before - np.concatenate([[0.0], np.cumsum(times)])[before]


def draw_shares(ax: Axes, lanes: Lanes, nodes: int, window: Window, factor: float) -> None:
    """Draw the shares on top of one another; what is left blank has ended, or is between spans."""
    edges, shares = shares_over_time(lanes, nodes, window)
    tops = np.cumsum(shares, axis=0)
    bottom = np.zeros(tops.shape[1])
    for top, colour in zip(tops, WORK.values(), strict=True):
        low, high = (np.append(values, values[-1]) for values in (bottom, top))
        ax.fill_between(edges * factor, low, high, step="post", color=colour, lw=0, zorder=2)
        bottom = top
    ticks = np.linspace(0, 1, 5)
    ax.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
    ax.set_ylim(0, 1.02)
    ax.set_ylabel(f"share of {nodes} nodes")
