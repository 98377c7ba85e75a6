"""Lab 04, messages and collectives: from a sum up a tree to an all-reduce by halves."""

from .tree import tree
from .scatter import scatter
from .gather import gather
from .link import link
from .crossover import crossover
from .halves import halves

__all__ = ["tree", "scatter", "gather", "link", "crossover", "halves"]
