"""Lab 02, the gradient: from one slope to a step with momentum."""

from .slope import slope
from .difference import difference
from .linear import linear
from .relu import relu
from .collapse import collapse
from .momentum import momentum

__all__ = ["slope", "difference", "linear", "relu", "collapse", "momentum"]
