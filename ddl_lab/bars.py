"""The figure of speed-ups: one group of bars a node count, the ideal as a line over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_speedup(by_label: Mapping[str, Mapping[int, float]], head: str, named: bool) -> Figure:
    """Bars of each curve's rate over that of its smallest node count, times that count."""
    from .canvas import COLOURS, INK, Canvas, style

    canvas = Canvas(6.2 if named else 5.0, 3.1)
    (ax,) = canvas.row(1, top=0.5, right=1.6 if named else 0.2)
    counts = sorted({nodes for row in by_label.values() for nodes in row})
    width = 0.8 / len(by_label)
    for place, (label, row) in enumerate(by_label.items()):
        first = min(row)
        found = {nodes: rate / row[first] * first for nodes, rate in row.items()}
        x = [counts.index(nodes) + (place + 0.5) * width - 0.4 for nodes in found]
        colour = COLOURS[place % len(COLOURS)]
        bars = ax.bar(x, list(found.values()), width * 0.92, color=colour, label=label, zorder=2)
        ax.bar_label(bars, [f"{ratio:.2f}" for ratio in found.values()], color=INK, fontsize=8)
    for place, nodes in enumerate(counts):
        ideal = "ideal" if place == 0 else None
        ax.plot([place - 0.45, place + 0.45], [nodes] * 2, color=INK, ls="--", lw=1.2, label=ideal)
    ax.set_xticks(range(len(counts)), [str(nodes) for nodes in counts])
    ax.grid(visible=False, axis="x")
    ax.set_xlabel("nodes")
    ax.set_ylabel("times one node's samples/s")
    with style():
        if named:
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03))
    canvas.head(head if named else f"{head}; dashed: ideal")
    return canvas
