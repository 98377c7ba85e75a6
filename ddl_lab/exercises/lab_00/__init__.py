"""Lab 00, start here: a sum over nodes, a busy share, the fastest node count, a whole worker."""

from .total import total
from .busy import busy
from .fastest import fastest
from .one_epoch import one_epoch

__all__ = ["total", "busy", "fastest", "one_epoch"]
