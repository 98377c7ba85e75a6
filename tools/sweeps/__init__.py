"""What takes too long for a lab: swept once, into small tables of ``data/sweeps/`` that labs draw.

Each file is one sweep, ``python -m tools.sweeps.compression``; its table begins with the day and the
command.
"""

from __future__ import annotations

import csv
import datetime
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "data" / "sweeps"


def write(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``rows`` as ``data/sweeps/<name>.csv``, below the day and the command."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.csv").open("w", encoding="utf-8", newline="\n") as file:
        today = datetime.datetime.now(datetime.UTC).date()
        file.write(f"# {today}, {' '.join(['python -m', f'tools.sweeps.{name}', *sys.argv[1:]])}\n")
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
