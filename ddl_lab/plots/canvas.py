"""The figure that every plot is drawn on: it shows itself, on dark and on light pages alike.

Importing this module imports matplotlib: the plots do so when they are called.
"""

from __future__ import annotations

import io
import textwrap
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

INK = "#797979"  # 4.3 : 1 against white and against JupyterLab's dark ground
# Okabe & Ito's colours, those first that stand out from both grounds, and a grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")
SHOWN_DPI, DRAWN_DPI = 100, 144  # pixels to spare for dense screens
LETTERS_PER_INCH = 12.2  # of a title, on average

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def style() -> AbstractContextManager[None]:
    """While it lasts, axes and legends are made in the course's colours."""
    return mpl.rc_context(_STYLE)


class Canvas(Figure):
    """A matplotlib Figure that needs no pyplot: none is left open, none is shown twice.

    Sizes are in inches; a screen shows a hundred pixels an inch. The title stands on the left
    above all axes, on two lines where it must.
    """

    def __init__(self, width: float, height: float, headline: str) -> None:
        super().__init__(figsize=(width, height), dpi=SHOWN_DPI, facecolor="none")
        self.head(headline)

    def __repr__(self) -> str:
        return f"<figure: {self.headline}>"

    def head(self, headline: str) -> None:
        """Replace the title."""
        self.headline = headline
        width, height = self.get_size_inches()
        lines = textwrap.wrap(headline, int(width * LETTERS_PER_INCH)) or [""]
        self.more_lines = len(lines) - 1  # of the title, after its first
        place = {"x": 0.12 / width, "y": 1 - 0.1 / height, "ha": "left", "va": "top"}
        with style():
            self.words = self.suptitle("\n".join(lines), fontsize=10.5, **place)

    def row(
        self, count: int, *, top: float = 0.5, right: float = 0.2, bottom: float = 0.55, **options: Any
    ) -> list[Axes]:
        """``count`` axes side by side on one y axis; inches above, to the right and below.

        ``options``: matplotlib's, of ``subplots``.
        """
        width, height = self.get_size_inches()
        top += 0.17 * self.more_lines
        margins = {"left": 0.75 / width, "right": 1 - right / width, "wspace": 0.08}
        margins |= {"top": 1 - top / height, "bottom": bottom / height}
        options = {"sharey": True} | options
        options["gridspec_kw"] = margins | options.get("gridspec_kw", {})
        with style():
            made = self.subplots(1, count, squeeze=False, **options)
        return list(made[0])

    def pixels(self) -> np.ndarray[Any, Any]:
        """The picture as RGBA bytes, shape (height, width, 4), with pixels to spare for dense screens."""
        drawn = FigureCanvasAgg(self)
        self.set_dpi(DRAWN_DPI)
        try:
            drawn.draw()
        finally:
            self.set_dpi(SHOWN_DPI)
        return np.asarray(drawn.buffer_rgba())

    def png(self) -> bytes:
        """The picture in 256 colours, a third of the bytes of all; equal data give equal bytes."""
        return encoded(self.pixels())

    @property
    def shown_size(self) -> dict[str, int]:
        """Width and height on a page, in pixels."""
        width, height = (round(side * SHOWN_DPI) for side in self.get_size_inches())
        return {"width": width, "height": height}

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return self.png(), self.shown_size


def legend_beside(ax: Axes, *named: Any, **options: Any) -> Legend:
    """Name what is drawn, to the right of ``ax``; ``named`` and ``options`` are those of its ``legend``."""
    with style():
        return ax.legend(*named, loc="upper left", bbox_to_anchor=(1.0, 1.03), **options)


def plain_ticks(ax: Axes) -> None:
    """A logarithmic y axis with numbers as they are said, 0.5 and 20, in place of powers of ten."""
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


def encoded(pixels: np.ndarray[Any, Any], quick: bool = False) -> bytes:
    """RGBA bytes (height, width, 4) as a PNG of 256 colours.

    ``quick``: a fifth of the time and a third more bytes, for a picture that the next one replaces.
    """
    buffer = io.BytesIO()
    effort: dict[str, Any] = {"compress_level": 1} if quick else {"optimize": True}
    image = Image.fromarray(pixels).quantize(256, method=Image.Quantize.FASTOCTREE)
    image.save(buffer, "png", **effort)
    return buffer.getvalue()
