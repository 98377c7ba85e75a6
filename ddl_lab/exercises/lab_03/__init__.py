"""Lab 03, one step on many nodes: weights, waiting, noise, shares, and a weighted all-reduce."""

from .weights import weights
from .utilisation import utilisation
from .noise import noise
from .shares import shares
from .reduce import reduce

__all__ = ["weights", "utilisation", "noise", "shares", "reduce"]
