"""Lab 14, failures and checkpoints: what is saved, how and how often, going on, a mean that stands liars."""

from .atomic import atomic
from .whole import whole
from .interval import interval
from .fewer import fewer
from .trimmed import trimmed

__all__ = ["atomic", "whole", "interval", "fewer", "trimmed"]
