"""Lab 08, pipelines: two schedules, what they cost and keep, a cut, and who waits forever."""

from .gpipe import gpipe
from .bubble import bubble
from .in_flight import in_flight
from .one_f_one_b import one_f_one_b
from .balance import balance
from .deadlock import deadlock

__all__ = ["gpipe", "bubble", "in_flight", "one_f_one_b", "balance", "deadlock"]
