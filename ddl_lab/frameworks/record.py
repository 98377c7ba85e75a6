"""Runs of all frameworks on one machine, recorded on one day; and whether a script has changed since."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..history.history import History
from ..training import course
from .launching import environment_of
from .table import FRAMEWORKS, TRAPS, Framework

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "name", "framework", "state", "nodes", "lines", "startup_s", "step_ms", "total_s",
    "loss_off", "parameter_off", "versions", "script", "words",
)  # fmt: skip
RAN, FAILED, NOT_RECORDED = "ran", "failed", "not recorded"
HELPERS = ("numpy", "setuptools", "wheel", "cloudpickle", "psutil", "pyyaml", "packaging", "distributed")


def file_of_record() -> Path:
    """data/frameworks.csv beside the package, or frameworks.csv in the folder that DDL_LAB_DATA names."""
    folder = os.environ.get("DDL_LAB_DATA") or course.folder("data")
    return Path(folder) / "frameworks.csv"


def recorded() -> pd.DataFrame:
    """The record: a row a framework, by name, with ``COLUMNS`` and ``stale``: its script has changed since.

    ``.attrs["made"]`` has its first line: the day, the machine and the command. A framework without a row is
    "not recorded".
    """
    import pandas as pd

    with file_of_record().open(encoding="utf-8") as lines:
        made = lines.readline().lstrip("# ").rstrip()
    table = pd.read_csv(file_of_record(), comment="#", keep_default_na=True).set_index("name")
    known = FRAMEWORKS | TRAPS
    table = table.reindex([*known])
    table["framework"] = [framework.title for framework in known.values()]
    table["state"] = table["state"].fillna(NOT_RECORDED)
    table["lines"] = [framework.lines for framework in known.values()]
    then = table["script"].fillna("")
    table["stale"] = [bool(then[name]) and then[name] != hash_of(known[name]) for name in table.index]
    table.attrs["made"] = made
    return table


def hash_of(framework: Framework) -> str:
    """What its script, and what that takes from the others, read as now, in twelve digits."""
    texts = [file.read_bytes() for file in framework.sources]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:12]


def versions(framework: Framework) -> str:
    """Which versions of what it is made of ran: "accelerate 1.15.0, torch 2.13.0"."""
    environment = environment_of(framework)
    if environment is None:
        return f"torch {torch.__version__.partition('+')[0]}"
    pins = dict(line.split("==") for line in environment.lock.read_text().splitlines() if "==" in line)
    asked = [text.split("[")[0].split("=")[0].split("<")[0] for text in environment.asked]
    named = [f"{name} {pins[name]}" for name in asked if name not in HELPERS and name in pins]
    return ", ".join([*([f"horovod {environment.compiled}"] if environment.compiled else []), *named])


def row_of(framework: Framework, history: History | None, total_s: float, words: str = "") -> dict[str, Any]:
    """A row of the record: of a run that ended well, or of one that ``words`` tell the end of."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row |= {"name": framework.name, "framework": framework.title, "lines": framework.lines}
    row |= {"versions": versions(framework), "script": hash_of(framework), "words": words}
    row |= {"state": RAN if history else FAILED, "total_s": round(total_s, 1)}
    if history is not None:
        off = [f"{difference:.1e}" for difference in history.about["differences"]]
        row |= {"nodes": history.nodes, "startup_s": round(history.startup_s, 2)}
        row |= {"step_ms": round(1e3 * history.about["step_s"], 3)}
        row |= {"loss_off": off[0], "parameter_off": off[1]}
    return row


def side_by_side(histories: Mapping[str, History]) -> pd.DataFrame:
    """The learner's own runs, by the framework's name: what a record has of each."""
    import pandas as pd

    rows = [row_of((FRAMEWORKS | TRAPS)[name], history, 0.0) for name, history in histories.items()]
    table = pd.DataFrame(rows, columns=[*COLUMNS]).set_index("name")
    return table[["framework", "nodes", "lines", "startup_s", "step_ms", "loss_off", "parameter_off"]]


def write(rows: Iterable[Mapping[str, Any]], made: str) -> None:
    """Put the record in place: ``made`` is its first line."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=[*COLUMNS])
    file_of_record().write_text(f"# {made}\n{table.to_csv(index=False)}", encoding="utf-8")
