"""The figure of a search: each trial at its setting, as large as it was trained long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AREA = 2.2  # square points a step
LOWEST, HIGHEST = 0.5, 0.9  # of the colours: the accuracy of a guess, and what such short training reaches


class Point(NamedTuple):
    """One trial: its learning rate, its hidden units, the steps it was trained, its last accuracy."""

    lr: float
    hidden: int
    steps: int
    score: float


def trials(panels: Mapping[str, Sequence[Point]], headline: str) -> Figure:
    """Draw a panel for each search: rate and units on logarithmic axes, colour for accuracy, area for steps.

    The best of each panel is ringed. Raises ``ValueError`` for no panel, and for one without a trial.
    """
    if not panels or not all(panels.values()):
        raise ValueError("trials got nothing to draw: give {'random': [Point(lr, hidden, steps, score), …]}.")
    from ..canvas import Canvas, style

    canvas = Canvas(3.2 * len(panels) + 1.5, 3.6, headline)
    axes = canvas.row(len(panels), top=0.72, right=1.35)
    with style():
        for ax, (name, points) in zip(axes, panels.items(), strict=True):
            drawn = _panel(ax, name, points)
        axes[0].set_ylabel("hidden units")
        box = axes[-1].get_position()
        inches = canvas.get_size_inches()[0]
        beside = canvas.add_axes((box.x1 + 0.25 / inches, box.y0, 0.14 / inches, box.height))
        bar = canvas.colorbar(drawn, cax=beside)
        bar.set_label("accuracy when last scored")
    return canvas


def _panel(ax: Axes, name: str, points: Sequence[Point]) -> Any:
    from ..canvas import INK, plain_ticks

    best = max(points, key=lambda point: point.score)
    drawn = ax.scatter(
        [p.lr for p in points],
        [p.hidden for p in points],
        s=[AREA * p.steps for p in points],
        c=[p.score for p in points],
        cmap="viridis",
        vmin=LOWEST,
        vmax=HIGHEST,
        edgecolors=INK,
        linewidths=0.8,
    )
    ax.plot(best.lr, best.hidden, "o", ms=21, mfc="none", color=INK, mew=2)
    ax.set(xscale="log", yscale="log", xlabel="learning rate", xlim=(5e-4, 2e1), ylim=(6, 170))
    ax.set_title(name, fontsize=9.5)
    plain_ticks(ax)
    return drawn
