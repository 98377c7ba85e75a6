"""A number and what it counts, as one says it: "1 node", "4 nodes", "2 processes"."""

from __future__ import annotations


def counted(count: int, what: str, several: str = "") -> str:
    """``count`` of ``what``; ``several``: its plural, where an s at the end doesn't make it."""
    return f"{count:,} {what if count == 1 else several or what + 's'}"
