"""Lab 15, deployment and search: names for a flat tensor, codes, batches, tails, and who goes on."""

from .names import names
from .codes import codes
from .tail import tail
from .keeps_up import keeps_up
from .company import company
from .goes_on import goes_on

__all__ = ["names", "codes", "tail", "keeps_up", "company", "goes_on"]
