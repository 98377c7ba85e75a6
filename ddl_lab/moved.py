"""Names that stood elsewhere before the package had its rooms: a learner's copy of a lab still finds them.

``import ddl_lab.data`` gives the module ``ddl_lab.training.data`` itself, not a second one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_HOMES = {  # room -> the modules that moved there under their own names
    "node": "messages arguments port context",
    "travel": "capture storages blame checks shared",
    "training": "model loss data shards buffers",
    "learner": "predictions",
    "forecast": "calibration",
}
MOVED = {old: f"{room}.{old}" for room, names in _HOMES.items() for old in names.split()} | {
    "quantities": "learner.numbers",
    "node.settings": "travel.settings",
    "node.generators": "travel.generators",
    "plots.one_step": "plots.labs.lab_03",
    "plots.staleness": "plots.labs.lab_07",
}


class _Moved(MetaPathFinder, Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, old = name.partition(".")
        return ModuleSpec(name, self) if package == __package__ and old in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        new = MOVED[name.removeprefix(f"{__package__}.")]
        sys.modules[name] = importlib.import_module(f"{__package__}.{new}")


def install() -> None:
    """Let Python's imports know of the moved names, after all that it finds by itself."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
