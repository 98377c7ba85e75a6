"""A canvas on which only a few artists move: all that lies behind them is drawn once and kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ..canvas import DRAWN_DPI, Canvas


class Layers:
    """The picture of a canvas whose moving artists are marked ``animated``, which leaves them out of it.

    Its title is one of them.
    """

    def __init__(self, canvas: Canvas) -> None:
        canvas.words.set_animated(True)
        canvas.set_dpi(DRAWN_DPI)
        self._canvas, self._drawn = canvas, FigureCanvasAgg(canvas)
        self._state: Any = None  # of what is kept
        self._behind: Any = None  # its pixels

    def pixels(self, state: Any, moving: Iterable[Any]) -> np.ndarray[Any, Any]:
        """RGBA bytes (height, width, 4), as ``Canvas.pixels`` has them, with ``moving`` on top.

        ``state``: while it equals the last call's, what lies behind is not drawn again.
        """
        if self._behind is None or state != self._state:
            self._drawn.draw()
            self._behind, self._state = self._drawn.copy_from_bbox(self._canvas.bbox), state
        else:
            self._drawn.restore_region(self._behind)
        for artist in (*moving, self._canvas.words):
            artist.draw(self._drawn.get_renderer())
        return np.asarray(self._drawn.buffer_rgba())
