"""Lab 07, asynchronous and stale: from counting versions to what a bound allows."""

from .versions import versions
from .gate import gate
from .limit import limit
from .aware import aware
from .winner import winner
from .first import first
from .stalest import stalest

__all__ = ["versions", "gate", "limit", "aware", "winner", "first", "stalest"]
