"""The figures of one step on many nodes: losses side by side, gradient noise, waiting, memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KNOW_NOTHING = 0.6931  # ln 2 nats: the loss of a network that says 1/2 to everything


def side_by_side(panels: Mapping[str, Mapping[str, Sequence[float]]], headline: str) -> Figure:
    """Losses against steps, one panel a key of ``panels``, on one logarithmic y axis.

    ``panels``: by title, curves by label; the same label has the same colour everywhere. The dashed
    line is ln 2. Raises ``ValueError`` where there is no curve.
    """
    if not panels or not all(panels.values()):
        raise ValueError("side_by_side got a panel without curves: give {title: {label: losses}}.")
    from ..canvas import COLOURS, INK, Canvas, plain_ticks, style

    canvas = Canvas(7.6, 3.4, headline)
    axes = canvas.row(len(panels), top=0.75, right=1.05)
    labels = list(dict.fromkeys(label for curves in panels.values() for label in curves))
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for label, losses in curves.items():
            place = labels.index(label)
            # wide below, narrow above: curves that lie on each other all show
            width = 1.4 + 0.8 * (len(labels) - 1 - place) / len(labels)
            ax.plot(losses, color=COLOURS[place % len(COLOURS)], lw=width, label=label)
        ax.axhline(KNOW_NOTHING, color=INK, ls="--", lw=1)
        ax.set_yscale("log")
        ax.set_title(title, fontsize=9.5, color=INK)
        ax.set_xlabel("steps")
    plain_ticks(axes[0])
    axes[0].set_ylabel("loss (nats)")
    handles = {str(line.get_label()): line for ax in axes for line in ax.get_lines()}
    with style():
        axes[-1].legend(
            [handles[label] for label in labels], labels, loc="upper left", bbox_to_anchor=(1.0, 1.05)
        )
    return canvas


def noise(
    measured: Mapping[str, Mapping[int, float]],
    theory: Mapping[str, Callable[[float], float]],
    signal: float,
    most: int,
) -> Figure:
    """Mean squared distance of a batch's gradient from the data's, against the batch's size.

    ``measured``: by label, values by batch size, drawn as points; ``theory``: by label, a function
    of the batch size, drawn as a line from 1 to ``most``; ``signal``: the squared length of the
    gradient itself, dashed. Both axes are logarithmic. Raises ``ValueError`` without measurements.
    """
    if not measured or not all(measured.values()):
        raise ValueError("noise got nothing measured: give {label: {batch size: value}}.")
    import numpy as np

    from ..canvas import COLOURS, INK, Canvas, legend_beside

    canvas = Canvas(7.6, 3.4, "noise of a batch's gradient against the size of the batch")
    (ax,) = canvas.row(1, right=2.3)
    sizes = np.geomspace(1, most, 300)
    for (label, law), colour in zip(theory.items(), COLOURS, strict=False):
        values = np.array([law(float(size)) for size in sizes])
        ax.plot(sizes, np.where(values > 0, values, np.nan), color=colour, lw=1.4, label=label)
    for (label, points), colour, marker in zip(measured.items(), COLOURS, "osD^v", strict=False):
        size = 8 if marker == "o" else 4.5  # where two lie on each other both show
        ax.plot(*zip(*points.items(), strict=True), marker, color=colour, ms=size, label=label)
    ax.axhline(signal, color=INK, ls="--", lw=1, label="‖∇L(D)‖²: the gradient")
    ax.set_xscale("log")
    ax.set_yscale("log")
    lowest = min(min(points.values()) for points in measured.values())
    ax.set_ylim(bottom=lowest / 3)
    ax.set_xlabel("digits in the batch")
    ax.set_ylabel("mean squared distance")
    legend_beside(ax, fontsize=8.5)
    return canvas


def waiting(
    panels: Mapping[str, tuple[Callable[[int, float], float], Mapping[int, Mapping[float, float]]]],
    headline: str,
) -> Figure:
    """Closed forms as lines and simulations as points, against α, a colour for each node count.

    ``panels``: by what the y axis says, the law as a function of (nodes, α) and the simulated
    values by nodes and α; where they span more than two decades the axis is logarithmic. Raises
    ``ValueError`` where there is no panel.
    """
    if not panels:
        raise ValueError("waiting got no panel: give {y label: (law, {nodes: {alpha: value}})}.")
    import numpy as np

    from ..canvas import COLOURS, Canvas, style

    canvas = Canvas(7.6, 3.4, headline)
    axes = canvas.row(len(panels), right=0.95, sharey=False, gridspec_kw={"wspace": 0.32})
    for ax, (label, (law, found)) in zip(axes, panels.items(), strict=True):
        for (nodes, points), colour in zip(found.items(), COLOURS, strict=False):
            alphas = np.linspace(min(points), max(points), 120)
            ax.plot(alphas, [law(nodes, float(a)) for a in alphas], color=colour, lw=1.4)
            ax.plot([*points], [*points.values()], "o", color=colour, ms=4.5, label=f"N = {nodes}")
        values = [value for points in found.values() for value in points.values()]
        if min(values) > 0 and max(values) > 100 * min(values):
            ax.set_yscale("log")
        ax.set_xlabel("α: each node's speed / the one before")
        ax.set_ylabel(label)
    with style():
        axes[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.04))
    return canvas


def memory(bars: Mapping[str, Mapping[str, int]], headline: str) -> Figure:
    """Bytes as stacked bars: a bar for each key of ``bars``, its parts by name, in MB (10⁶ bytes).

    The same part has the same colour in every bar. Raises ``ValueError`` where there is no bar.
    """
    if not bars:
        raise ValueError("memory got no bars: give {label: {part: bytes}}.")
    from ..canvas import COLOURS, INK, Canvas, style

    parts = list(dict.fromkeys(part for row in bars.values() for part in row))
    canvas = Canvas(7.6, 1.15 + 0.33 * len(bars), headline)
    (ax,) = canvas.row(1, top=0.72)
    box = ax.get_position()
    ax.set_position((0.19, box.y0, 0.77, box.height))
    for place, row in enumerate(bars.values()):
        left = 0.0
        for part, nbytes in row.items():
            name = part if place == 0 else None
            ax.barh(place, nbytes / 1e6, 0.7, left, color=COLOURS[parts.index(part)], label=name)
            left += nbytes / 1e6
        ax.annotate(f"{left:.2f}", (left, place), (4, 0), textcoords="offset points", va="center",
                    fontsize=8.5, color=INK)  # fmt: skip
    ax.set_yticks(range(len(bars)), list(bars))
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.margins(x=0.09)
    ax.set_xlabel("MB on one node")
    with style():
        ax.legend(ncols=len(parts), handlelength=1.2, loc="lower left", bbox_to_anchor=(-0.01, 0.98))
    return canvas
