"""Controls in a notebook, and figures that follow them: ``vary`` and ``explore``.

In come a worker or a function that draws, and what may be moved; out come controls, a figure and words that
follow them. It must not know which lab it stands in, nor how a figure is drawn.
"""

from .controls import Slider
from .drawing import Vary, vary
from .explorer import Explorer, explore

__all__ = ["Explorer", "Slider", "Vary", "explore", "vary"]
