"""Lab 16, scaling: the best count of nodes and the cheapest, a law fitted, two levels, and a bracket."""

from .peak import peak
from .cheapest import cheapest
from .fit import fit
from .levels import levels
from .bracket import bracket

__all__ = ["peak", "cheapest", "fit", "levels", "bracket"]
