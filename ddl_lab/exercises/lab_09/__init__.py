"""Lab 09, tensor parallelism and meshes: slices and sums of a layer, what is sent, and what is kept."""

from .units import units
from .bias import bias
from .conjugate import conjugate
from .crossover import crossover
from .memory import memory
from .place import place

__all__ = ["units", "bias", "conjugate", "crossover", "memory", "place"]
