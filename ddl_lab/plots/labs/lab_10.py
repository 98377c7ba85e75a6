"""Stacked bars: what a whole is made of, one bar a case, some of them faint."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def stacked(
    rows: Mapping[str, Mapping[str, float]],
    headline: str,
    *,
    x: str,
    y: str = "",
    notes: Mapping[str, str] | None = None,
    faint: Collection[str] = (),
) -> Figure:
    """Draw one lying bar for each of ``rows``, from its parts; the first on top.

    ``x``, ``y``: the names of the axes, with their units. ``notes``: by row, a word behind its bar.
    ``faint``: rows that are out of the question, drawn pale. Raises ``ValueError`` without rows, for rows
    of other parts than the first, and for notes and faint rows that there aren't.
    """
    notes = notes or {}
    _check(rows, {*notes, *faint})
    from ..canvas import COLOURS, INK, Canvas, style

    names, parts = list(rows), list(next(iter(rows.values())))
    canvas = Canvas(7.6, 1.45 + 0.27 * len(names), headline)
    (ax,) = canvas.row(1, top=0.78, right=0.9 if notes else 0.3)
    _, bottom, _, height = ax.get_position().bounds
    left = (0.55 + 0.075 * max(map(len, names))) / 7.6  # the names of the bars are longer than numbers
    ax.set_position((left, bottom, 0.875 - left, height))
    for place, name in enumerate(names):
        start = 0.0
        for part, colour in zip(parts, COLOURS, strict=False):
            length = rows[name][part]
            ax.barh(place, length, 0.7, left=start, color=colour, alpha=0.3 if name in faint else 1.0)
            start += length
        ax.annotate(notes.get(name, ""), (start, place), (5, 0), textcoords="offset points", va="center",
                    fontsize=8.5, color=INK)  # fmt: skip
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel=x, ylabel=y)
    ax.grid(False, axis="y")
    ax.invert_yaxis()
    with style():
        _legend(canvas, parts)
    return canvas


def _check(rows: Mapping[str, Mapping[str, float]], named: set[str]) -> None:
    if not rows:
        raise ValueError("stacked got no bar: give {'8 × 1 × 8': {'compute': 1.0, 'data': 0.2}}.")
    parts = list(next(iter(rows.values())))
    for name, row in rows.items():
        if list(row) != parts:
            raise ValueError(f"stacked: {name!r} has the parts {list(row)}, the first bar {parts}.")
    if unknown := sorted(named - set(rows)):
        raise ValueError(f"stacked: no bar is called {', '.join(unknown)}; there are {', '.join(rows)}.")


def _legend(canvas: Figure, parts: list[str]) -> None:
    from matplotlib.patches import Patch

    from ..canvas import COLOURS

    patches = [Patch(color=colour) for _, colour in zip(parts, COLOURS, strict=False)]
    height = canvas.get_size_inches()[1]
    place = (0.15, 1 - 0.36 / height)
    canvas.legend(patches, parts, loc="upper left", bbox_to_anchor=place, ncols=len(parts), borderaxespad=0)
