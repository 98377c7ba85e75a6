"""Who has which digits: a dot for each part and label, and above it how much each part has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def who_has(parts: Sequence[Any], headline: str, *, x: str = "part", y: str = "digit") -> Figure:
    """Draw what each of ``parts`` holds: the area of a dot is how many samples it has of a label.

    ``parts``: what ``share_out`` returns, data sets, or labels (n,) of each, such as the y of batches; up
    to 100. ``x``: what a part is, "client" or "batch"; ``y``: what a label is. Raises ``ValueError`` for
    no parts, too many, and labels that are no whole numbers (n,).
    """
    counts, labels = _counted(parts)
    from .canvas import COLOURS, Canvas, style

    columns, rows = counts.shape
    height = 2.1 + 0.2 * rows
    canvas = Canvas(7.6, height, headline)
    margins = {"left": 0.1, "right": 0.97, "top": 1 - 0.5 / height, "bottom": 0.55 / height, "hspace": 0.12}
    with style():
        sums, dots = canvas.subplots(2, 1, sharex=True, height_ratios=[2, rows + 1], gridspec_kw=margins)
    sums.bar(range(columns), counts.sum(axis=1), 0.7, color=COLOURS[0], zorder=2)
    sums.set(ylabel="samples")
    sums.tick_params(labelbottom=False)
    part, label = counts.nonzero()
    across = 72 * min(6.6 / columns, 0.22)  # points from side to side of the largest dot
    area = across**2 * counts[part, label] / counts.max()
    dots.scatter(part, label, s=area, color=COLOURS[0], lw=0, zorder=2)
    dots.set(xlabel=x, ylabel=y, xlim=(-0.6, columns - 0.4), yticks=range(rows), yticklabels=labels)
    dots.set_ylim(rows - 0.4, -0.6)
    dots.xaxis.get_major_locator().set_params(integer=True)
    return canvas


def _counted(parts: Sequence[Any]) -> tuple[np.ndarray, list[str]]:
    """How many samples of which label each part has, (parts, labels), and the labels."""
    if not 1 <= len(parts) <= 100:
        raise ValueError(f"who_has draws 1 to 100 parts, it got {len(parts)}: try parts[:20].")
    held = [np.asarray(getattr(part, "labels", part)) for part in parts]
    for number, found in enumerate(held):
        if found.ndim != 1 or found.dtype.kind not in "iub":
            raise ValueError(
                f"who_has: part {number} is {found.dtype} of shape {found.shape}, expected labels: whole "
                "numbers (n,). The batches of load_digits(classes=10) have them as y."
            )
    found = np.concatenate(held)
    if not len(found):
        raise ValueError("who_has: all parts are empty.")
    labels = np.arange(found.min(), found.max() + 1)
    return np.array([(found[:, None] == labels).sum(axis=0) for found in held]), [str(n) for n in labels]
