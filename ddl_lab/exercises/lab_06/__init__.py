"""Lab 06, the parameter server: from a worker's round to the servers that beat a ring."""

from .once import once
from .average import average
from .slices import slices
from .feeds import feeds
from .servers import servers

__all__ = ["once", "average", "slices", "feeds", "servers"]
