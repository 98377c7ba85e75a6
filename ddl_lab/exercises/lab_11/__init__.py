"""Lab 11, compression: from bytes to what is remembered, fewer bits, and momentum."""

from .sent import sent
from .memory import memory
from .integers import integers
from .chance import chance
from .momentum import momentum

__all__ = ["sent", "memory", "integers", "chance", "momentum"]
