"""Lab 05, synchronous data parallelism: from a common start to a sampler."""

from .start import start
from .warm import warm
from .wait import wait
from .uneven import uneven
from .sparing import sparing
from .deal import deal

__all__ = ["start", "warm", "wait", "uneven", "sparing", "deal"]
