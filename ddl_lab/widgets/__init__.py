"""Controls in a notebook, and figures that follow them: ``vary`` and ``explore``."""

from .controls import Slider
from .drawing import Vary, vary
from .explorer import Explorer, explore

__all__ = ["Explorer", "Slider", "Vary", "explore", "vary"]
