"""Figures of lab 02: errors of a finite difference, and a descent on a plane through the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVELS = 12  # contours between the lowest and the highest loss of a plane


@dataclass(frozen=True)
class Plane:
    """The loss on a plane, worked out once: a (k,) to the right, b (m,) upwards, loss (m, k) in nats."""

    a: Any
    b: Any
    loss: Any

    def __post_init__(self) -> None:
        shape = np.shape(self.loss)
        if shape != (len(self.b), len(self.a)) or min(shape) < 2:
            raise ValueError(
                f"Plane: loss has shape {shape} and must have (values of b, values of a), here "
                f"({len(self.b)}, {len(self.a)}), each at least 2."
            )


def step_errors(
    step_sizes: Any, errors: Mapping[str, Any], predicted: Mapping[str, float], headline: str
) -> Figure:
    """Draw relative errors against the step h of a difference quotient, both axes logarithmic.

    ``step_sizes``: (k,), above 0; ``errors``: by label, each (k,); ``predicted``: by the same labels,
    the step at which the theory puts the least error, drawn as a dashed line. Raises ``ValueError``
    where labels or lengths differ.
    """
    if set(errors) != set(predicted):
        raise ValueError(f"step_errors: errors of {sorted(errors)}, predictions of {sorted(predicted)}.")
    for label, row in errors.items():
        if len(row) != len(step_sizes):
            raise ValueError(f"step_errors: {len(step_sizes)} steps and {len(row)} errors of {label}.")
    from ..canvas import COLOURS, INK, Canvas, legend_beside, style

    canvas = Canvas(6.8, 3.4, headline)
    (ax,) = canvas.row(1, right=1.75)
    with style():
        for colour, (label, row) in zip(COLOURS, errors.items(), strict=False):
            shown = np.asarray(row, dtype=float)
            ax.plot(step_sizes, np.where(shown > 0, shown, np.nan), color=colour, lw=1.8, label=label)
            ax.axvline(predicted[label], color=colour, ls="--", lw=1.2)
        ax.plot([], [], color=INK, ls="--", lw=1.2, label="predicted best h")
        ax.set(xscale="log", yscale="log", xlabel="step h (length in parameter space)")
        ax.set_ylabel("relative error of the slope")
    legend_beside(ax)
    return canvas


def descent(plane: Plane, runs: Mapping[str, tuple[Any, Sequence[float]]], headline: str) -> Figure:
    """Draw paths on the contours of ``plane``, and beside them the loss against steps.

    ``runs``: by label, a path (s + 1, 2) of places (a, b) and the losses (s,) at the first s of
    them, in nats. What leaves the plane or is no number isn't drawn. Raises ``ValueError`` for a
    path of another shape.
    """
    paths = {label: np.asarray(path, dtype=float) for label, (path, _) in runs.items()}
    for label, path in paths.items():
        if path.ndim != 2 or path.shape[1] != 2:
            raise ValueError(f"descent: the path of {label!r} has shape {path.shape}, and not (steps, 2).")
    from ..canvas import COLOURS, Canvas, style

    canvas = Canvas(7.8, 3.6, headline)
    with style():
        top = 0.72 + 0.2 * ((len(runs) - 1) // 3)  # three names a row
        left, right = canvas.row(2, top=top, sharey=False, gridspec_kw={"left": 0.7 / 7.8, "wspace": 0.28})
        _contours(left, plane)
        for colour, (label, path) in zip(COLOURS[1:] + COLOURS[:1], paths.items(), strict=False):
            left.plot(*path.T, color=colour, marker="o", ms=2.5, lw=1.2)
            loss = np.asarray(runs[label][1], dtype=float)
            right.plot(np.where(np.isfinite(loss), loss, np.nan), color=colour, lw=1.6, label=label)
        right.set(xlabel="step", ylabel="loss (nats)", yscale="log")
        _plain_ticks(right, plane, [loss for _, loss in runs.values()])
        right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(len(runs), 3))
    return canvas


def _contours(ax: Axes, plane: Plane) -> None:
    """The loss's contours, equal ratios apart, and a cross at the lowest place of the grid, on top of all."""
    from ..canvas import COLOURS, INK

    loss = np.asarray(plane.loss, dtype=float)
    levels = np.geomspace(loss.min() * 1.02, loss.max(), LEVELS)
    drawn = ax.contour(plane.a, plane.b, loss, levels=levels, colors=INK, linewidths=0.8)
    ax.clabel(drawn, list(levels[1::2]), fmt="%.2g", fontsize=7.5)
    row, column = np.unravel_index(loss.argmin(), loss.shape)
    ax.plot(plane.a[column], plane.b[row], "x", color=COLOURS[0], ms=8, mew=2, zorder=3)  # above paths
    ax.set(xlim=(plane.a[0], plane.a[-1]), ylim=(plane.b[0], plane.b[-1]))
    ax.set(xlabel="a, along u", ylabel="b, along v")
    ax.grid(visible=False)


def _plain_ticks(ax: Axes, plane: Plane, losses: Sequence[Sequence[float]]) -> None:
    """Plain numbers on the loss's axis, and limits that one run off the plane can't stretch."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    loss = np.asarray(plane.loss, dtype=float)
    seen = np.concatenate([np.asarray(row, dtype=float) for row in losses])
    seen = seen[np.isfinite(seen) & (seen <= loss.max())]
    ax.set_ylim(loss.min() * 0.9, max(seen.max(initial=loss.min()) * 1.15, loss.min() * 1.2))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    low, high = ax.get_ylim()
    ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 5, 10, 20, 50) if low <= t <= high]
    if len(ticks) > 1:
        ax.set_yticks(ticks)
