"""The same training in other people's frameworks: installed apart, run by their launchers, set beside ours.

``lab.frameworks`` shows the table, ``lab.frameworks.ddp`` is one of them (handle.py). The scripts in scripts/
are what the lab shows; they run in other environments and know nothing of this package. The room starts
launchers, but must not know how the course's own engines start processes: it calls ``run``.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def recorded() -> Any:
    """The record of all frameworks on one machine, as a table: see record.py."""
    from .record import recorded

    return recorded()


def mine(histories: Any) -> Any:
    """The learner's own runs, {name: History}, as a table beside it: see record.py."""
    from .record import side_by_side

    return side_by_side(histories)


class _Shelf(ModuleType):
    """The room itself, with a framework by each name of the table."""

    def __getattr__(self, name: str) -> Any:
        from .table import FRAMEWORKS, TRAPS

        if name not in FRAMEWORKS and name not in TRAPS:
            raise AttributeError(f"lab.frameworks has no {name!r}; it has {', '.join(FRAMEWORKS)}")
        from .handle import Handle

        return Handle(FRAMEWORKS.get(name) or TRAPS[name])

    def __dir__(self) -> list[str]:
        from .table import FRAMEWORKS

        return sorted(FRAMEWORKS)

    def __repr__(self) -> str:
        from .shelf import as_text

        return as_text()

    def _repr_html_(self) -> str:
        from .shelf import as_html

        return as_html()


sys.modules[__name__].__class__ = _Shelf
