"""Cells of the labs, for tests: what a lab builds by hand is read from its notebook and run here."""

from __future__ import annotations

import linecache
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat

LABS = Path(__file__).parents[2] / "labs"
# cells of lab 00 that time this machine: of use to a reader only, and no later cell needs them
TIMINGS = (
    *("s00-measure", "s00-startup-ask", "s00-startup", "s00-startup-look"),
    *("s00-speed-ask", "s00-speed-run", "s00-speed-look"),
)


@lru_cache(maxsize=8)
def cells(lab: str) -> dict[str, str]:
    """The sources of a lab's code cells by their id; ``lab``: how its file's name begins, "04"."""
    (path,) = LABS.glob(f"{lab}_*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


def defined(lab: str, /, *ids: str, **given: Any) -> dict[str, Any]:
    """The names that the cells with these ids make, run in this order; ``given``: names they find there.

    The functions are the notebook's, line for line: they travel to processes as those of a notebook
    do, and errors show their lines. Raises ``KeyError`` for a cell that isn't there.
    """
    names: dict[str, Any] = {"__name__": "__main__", **given}
    for place in ids:
        source, file = cells(lab)[place], f"<lab {lab}, cell {place}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec"), names)
    return names
