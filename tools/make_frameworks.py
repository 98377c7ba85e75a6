"""Install and run all frameworks of lab 17, print the table, and write data/frameworks.csv.

    make frameworks                                       all, as four ranks each
    .venv/bin/python -m tools.make_frameworks jax ray     these; the record keeps the others' rows

Environments go to DDL_LAB_FRAMEWORKS, or the learner's own folder. What can't be installed here is skipped,
and says why; what fails fails its own row.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from datetime import date
from typing import Any

import pandas as pd

from ddl_lab.counted import counted
from ddl_lab.errors import LabError
from ddl_lab.frameworks import installing, record, running
from ddl_lab.frameworks.environments import this_python
from ddl_lab.frameworks.launching import environment_of
from ddl_lab.frameworks.table import FRAMEWORKS, TRAPS, Framework

NODES, LIMIT_S = 4, 400.0


def ran(framework: Framework) -> dict[str, Any] | None:
    """A row of the record; None where it can't be installed here, and why is printed."""
    environment = environment_of(framework)
    try:
        if environment is not None:
            installing.install(environment, agreed=lambda question: not print(question))
    except LabError as error:
        print(f"{framework.title}: skipped. {error}", flush=True)
        return None
    start = time.monotonic()
    try:
        history = running.run(framework, NODES, timeout_s=LIMIT_S, progress=False)
    except Exception as error:  # whatever it is: one framework fails its own row, not the others'
        print(f"{framework.title}: {error}", flush=True)
        words = str(error).splitlines()[0].removeprefix(f"{framework.title}: ")
        return record.row_of(framework, None, time.monotonic() - start, words)
    row = record.row_of(framework, history, time.monotonic() - start)
    print(f"{framework.title}: {row['total_s']} s, off by {row['parameter_off']}", flush=True)
    return row


def main() -> None:
    """Run what the command line names, write the record, print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="of frameworks; all unless told")
    known = FRAMEWORKS | TRAPS
    names = parser.parse_args().names or list(known)
    rows = {}
    if record.file_of_record().exists():
        old = pd.read_csv(record.file_of_record(), comment="#", keep_default_na=False, dtype=str)
        rows = {row["name"]: row for row in old.to_dict("records")}
    for name in names:
        if (row := ran(known[name])) is not None:
            rows[name] = row
            record.write([rows[each] for each in known if each in rows], made())
    table = record.recorded()
    print(table[["framework", "state", "startup_s", "step_ms", "parameter_off", "stale"]].to_string())


def made() -> str:
    """The record's first line: when, on what, by what."""
    cores = counted(os.cpu_count() or 1, "core")
    system = f"{platform.system()} {platform.machine()}, {cores}, Python {this_python()}"
    return f"{date.today()}, {system}, by `make frameworks`: four ranks, {running.EPOCHS} epochs, single runs"


if __name__ == "__main__":
    main()
