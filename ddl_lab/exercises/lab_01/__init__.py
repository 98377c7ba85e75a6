"""Lab 01, the loss: from the entropy of labels to the loss of k classes."""

from .entropy import entropy
from .stable import stable
from .pairs import pairs
from .saturation import saturation
from .classes import classes

__all__ = ["entropy", "stable", "pairs", "saturation", "classes"]
