"""Tables that a script of tools/sweeps made beforehand: what takes too long to run in a lab."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import course

if TYPE_CHECKING:
    import pandas as pd


def swept(name: str) -> pd.DataFrame:
    """The table ``name``; ``.attrs["made"]`` has its first line: the day and the command that made it.

    The file is data/sweeps/<name>.csv beside the package, or sweeps/<name>.csv in the folder that the
    environment variable DDL_LAB_DATA names. Raises ``FileNotFoundError`` for a name that there isn't.
    """
    import pandas as pd

    folder = os.environ.get("DDL_LAB_DATA") or course.folder("data")
    file = Path(folder) / "sweeps" / f"{name}.csv"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in file.parent.glob("*.csv"))) or "none"
        raise FileNotFoundError(
            f"there is no table {name!r} in {file.parent}; those there are: {known}. "
            f"{course.mend('data/sweeps')}, or make it anew: `python -m tools.sweeps.{name}`."
        )
    with file.open(encoding="utf-8") as lines:
        made = lines.readline().lstrip("# ").rstrip()
    table = pd.read_csv(file, comment="#")
    table.attrs["made"] = made
    return table
