"""Lab 13, large batches and local steps: averages, the outer step, fair rivals, noise, a ring."""

from .average import average
from .outer import outer
from .rival import rival
from .noise import noise
from .ring import ring

__all__ = ["average", "outer", "rival", "noise", "ring"]
