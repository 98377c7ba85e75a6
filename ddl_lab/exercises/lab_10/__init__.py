"""Lab 10, meshes: where a rank stands, whose groups share a host, what a node holds, two levels."""

from .place import place
from .inside import inside
from .held import held
from .two_levels import two_levels

__all__ = ["place", "inside", "held", "two_levels"]
