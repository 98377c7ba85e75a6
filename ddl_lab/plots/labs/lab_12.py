"""The figures of federated learning: several seeds of several ways, a row each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def seeds(rows: Mapping[str, Iterable[float]], headline: str, *, x: str) -> Figure:
    """Draw a row of dots for each way, one a seed, and a stroke at their median; the first on top.

    ``rows``: by the way's name, what each seed gave. ``x``: the name of the axis, with its unit. Raises
    ``ValueError`` for no row, and for a row without numbers.
    """
    found = {name: [float(value) for value in values] for name, values in rows.items()}
    if not found:
        raise ValueError("seeds got no row: give {'FedAvg': [80.1, 82.3, 79.9]}.")
    for name, values in found.items():
        if not values:
            raise ValueError(f"seeds: {name!r} has no number: each way takes one a seed.")
    from ..canvas import COLOURS, Canvas, style

    height = 1.15 + 0.3 * len(found)
    canvas = Canvas(7.6, height, headline)
    (ax,) = canvas.row(1, gridspec_kw={"left": (0.25 + 0.075 * max(map(len, found))) / 7.6})
    with style():
        for place, values in enumerate(found.values()):
            ax.plot(values, [place] * len(values), "o", ms=6, color=COLOURS[0], alpha=0.75)
            ax.plot([median(values)], [place], "|", ms=15, mew=2.5, color=COLOURS[1])
        ax.set(yticks=range(len(found)), yticklabels=list(found), xlabel=x)
        ax.set_ylim(len(found) - 0.5, -0.5)
    return canvas
