"""The figures of failures: what an interval between saves costs, what a job's time went to, and liars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Life: TypeAlias = Sequence[tuple[str, float, float]]  # what a job did: (kind, start_s, end_s)
KINDS = {"work that stays": 0, "saving": 5, "work that is lost": 1, "starting again": 6}  # colours, by place


def lost_work(
    costs: Mapping[str, Mapping[float, float]],
    lives: Mapping[str, Life],
    headline: str,
    *,
    at: float,
    best: Mapping[str, float] | None = None,
    dots: Mapping[str, Mapping[float, float]] | None = None,
) -> Figure:
    """What an interval costs, on the left, and what jobs of this interval spend their time on, on the right.

    ``costs``: by label, time / work by the interval in seconds; ``dots``: the same, as simulated or measured.
    ``lives``: by label, what a job did, of the kinds in ``KINDS``; without one the left side stands alone.
    ``at``: the interval to mark; ``best``: by label, one to ring. Raises ``ValueError`` without a curve, and
    for kinds that there aren't.
    """
    if not costs:
        raise ValueError("lost_work got no curve: give {'4 nodes': {10.0: 1.3}}.")
    if unknown := {kind for life in lives.values() for kind, *_ in life} - set(KINDS):
        raise ValueError(
            f"lost_work: no kind is called {', '.join(sorted(unknown))}; there are {list(KINDS)}."
        )
    from ..canvas import Canvas

    canvas = Canvas(9.2 if lives else 6.4, 3.6, headline)
    options = {"width_ratios": [1, 1.35], "wspace": 0.42} if lives else {}
    axes = canvas.row(2 if lives else 1, top=0.72, sharey=False, gridspec_kw=options)
    _draw_costs(axes[0], costs, dots or {}, best or {}, at)
    if lives:
        _draw_lives(axes[1], lives)
    return canvas


def _draw_costs(
    ax: Axes,
    costs: Mapping[str, Mapping[float, float]],
    dots: Mapping[str, Mapping[float, float]],
    best: Mapping[str, float],
    at: float,
) -> None:
    from ..canvas import COLOURS, INK, style

    for (label, row), colour in zip(costs.items(), COLOURS[2:], strict=False):
        ax.plot(list(row), list(row.values()), lw=1.8, color=colour, label=label)
        seen = dots.get(label, {})
        ax.plot(list(seen), list(seen.values()), "o", ms=5.5, color=colour)
        if label in best:
            nearest = min(row, key=lambda place: abs(math.log(place / best[label])))
            ax.plot(nearest, row[nearest], "o", ms=11, mfc="none", mew=1.8, color=colour)
    ax.axvline(at, color=INK, lw=1, ls=":")
    lowest = min(min(row.values()) for row in costs.values())
    ax.set(xlabel="seconds between two saves", ylabel="time / work", xscale="log", ylim=(1.0, lowest + 1.0))
    ax.xaxis.set_major_formatter("{x:,.6g}")
    with style():
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, borderaxespad=0.2)


def _draw_lives(ax: Axes, lives: Mapping[str, Life]) -> None:
    from matplotlib.patches import Patch

    from ..canvas import COLOURS, style

    for place, life in enumerate(lives.values()):
        for kind, colour in KINDS.items():
            bars = [(start, end - start) for name, start, end in life if name == kind]
            ax.broken_barh(bars, (place - 0.33, 0.66), color=COLOURS[colour], lw=0, snap=False)
    ends = [life[-1][2] for life in lives.values() if life]
    ax.set(
        xlabel="seconds", yticks=range(len(lives)), yticklabels=list(lives), xlim=(0, max(ends, default=1))
    )
    ax.set_ylim(len(lives) - 0.45, -0.55)
    ax.grid(False, axis="y")
    ax.xaxis.set_major_formatter("{x:,.6g}")
    patches = [Patch(color=COLOURS[colour], label=kind) for kind, colour in KINDS.items()]
    with style():
        ax.legend(handles=patches, loc="lower left", bbox_to_anchor=(-0.1, 1.0), ncols=4, borderaxespad=0.2,
                  columnspacing=0.9, handlelength=1.2, fontsize=8.5)  # fmt: skip


def accuracies(table: pd.DataFrame, headline: str, *, guessing: float = 0.5) -> Figure:
    """A row a case, a colour a rule, a dot a seed: where each rule's accuracy comes to.

    ``table``: columns case, rule, accuracy, in the order to draw. ``guessing``: a dotted line. Raises
    ``ValueError`` for an empty table.
    """
    if table.empty:
        raise ValueError("accuracies got an empty table: it takes rows of case, rule and accuracy.")
    from ..canvas import COLOURS, INK, Canvas, legend_beside

    cases, rules = list(dict.fromkeys(table.case)), list(dict.fromkeys(table.rule))
    canvas = Canvas(8.0, 1.3 + 0.42 * len(cases), headline)
    (ax,) = canvas.row(1, right=1.6, gridspec_kw={"left": 0.23})
    for number, rule in enumerate(rules):
        mine = table[table.rule == rule]
        off = 0.16 * (number - (len(rules) - 1) / 2)
        places = [cases.index(case) + off for case in mine.case]
        ax.plot(mine.accuracy, places, "o", ms=5.5, alpha=0.85, color=COLOURS[number], label=rule)
    for border in range(1, len(cases)):
        ax.axhline(border - 0.5, color=INK, lw=0.6, alpha=0.5)
    ax.axvline(guessing, color=INK, lw=1, ls=":")
    ax.set(xlabel="test accuracy", yticks=range(len(cases)), yticklabels=cases)
    ax.set_ylim(len(cases) - 0.5, -0.5)
    ax.grid(False, axis="y")
    legend_beside(ax)
    return canvas
