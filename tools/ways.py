"""The ways through a lab: the core way, what is *further*, and the minutes that each part takes.

    python -m tools.ways 05     the sentence and the table for the opening of lab 05

A part is *further* if its heading says so (``## 8 · Further: …``, ``### Further: …``), and so is an exercise
of difficulty ●●○ or ●●●. All else is the core way: it runs and reads well with the further parts left out.
"""

from __future__ import annotations

import re
import symtable
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import nbformat

from . import make_labs

MOST_MINUTES = 60  # of the core way, its exercises included
ENDS = "opening and summary"
EASY, HARD = "exercises ●○○", "exercises ●●○ and ●●●"

_HEADING = re.compile(r"^(##|###) +(?:(\d+) · )?(Further: )?(.+?) *$", re.MULTILINE)
_ROW = re.compile(r"^\| (.+?) \| (core|further) \| (\d+) \|$", re.MULTILINE)
_TASK = re.compile(r"\(difficulty (●+)○*, (\d+) minutes\)")


@dataclass
class Part:
    """One row of the table: a section, or exercises; ``number`` is the section's."""

    title: str
    further: bool
    number: str = ""
    cells: list[Any] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As the table calls it."""
        return f"{self.number} · {self.title}" if self.number else self.title

    @property
    def minutes(self) -> int:
        """What it takes; exercises say it themselves."""
        if self.title in (EASY, HARD):
            return sum(int(told[2]) for cell in self.cells if (told := _TASK.search(cell.source)))
        return max(1, round(sum(map(minutes_of, self.cells))))


def minutes_of(cell: Any) -> float:
    """How long a reader stays at a cell, in minutes; against readers timed on ten labs right to a fifth.

    120 words of prose, 12 lines of code or 30 of output a minute; a minute for each figure, displayed
    equation, prediction and knob to turn.
    """
    if cell.cell_type == "markdown":
        stops = cell.source.count("$$") // 2 + len(
            re.findall("Your prediction|Turn (?:a )?knob", cell.source)
        )
        return len(_ROW.sub("", cell.source).split()) / 120 + stops  # the table itself is looked up, not read
    lines = [line for line in cell.source.splitlines() if line.strip()]
    figures = sum("image/png" in output.get("data", {}) for output in cell.outputs)
    shown = sum(len(output.get("text", "").splitlines()) for output in cell.outputs)
    return len(lines) / 12 + shown / 30 + figures + cell.source.count("lab.ask(")


def parts(notebook: Any) -> list[Part]:
    """The parts of a lab in the order of its table."""
    ends, easy, hard = Part(ENDS, False), Part(EASY, False), Part(HARD, True)
    found, section, now = [ends], ends, ends
    for cell in notebook.cells:
        heading = _HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if heading and heading[1] == "##":
            section = now = _section(heading, ends, easy)
            found += [now] if now not in (ends, easy) else []
        elif heading:
            now = Part(heading[4], True, section.number) if heading[3] else section
            found += [now] if heading[3] else []
        if cell.cell_type == "markdown" and (task := _TASK.search(cell.source)):
            now = easy if len(task[1]) == 1 else hard
        now.cells.append(cell)
    return [part for part in (*found, easy, hard) if part.cells]


def _section(heading: re.Match[str], ends: Part, easy: Part) -> Part:
    """The part that begins with a heading of the second level."""
    if heading[4] == "Exercises":
        return easy
    if heading[4] in ("Summary", "Sources"):
        return ends
    return Part(heading[4], bool(heading[3]), heading[2] or "")


def core(notebook: Any) -> Any:
    """The lab without what is further."""
    kept = {cell.id for part in parts(notebook) if not part.further for cell in part.cells}
    short = notebook.copy()
    short.cells = [cell for cell in notebook.cells if cell.id in kept]
    return short


def borrowed(notebook: Any) -> list[str]:
    """Where a cell on the core way uses a name as a further cell left it: a sentence each."""
    on_the_way = {cell.id for cell in core(notebook).cells}
    left_by: dict[str, str] = {}  # a name: the further cell that bound it last
    found = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        bound, used = _names(cell.source)
        if cell.id in on_the_way:
            found += [f"{cell.id} uses {n}, of {left_by[n]}" for n in sorted(used - bound) if n in left_by]
            left_by = {name: maker for name, maker in left_by.items() if name not in bound}
        else:
            left_by |= dict.fromkeys(bound, cell.id)
    return found


def _names(source: str) -> tuple[set[str], set[str]]:
    """The global names that a cell binds, and those that it or its functions read."""
    plain = "\n".join("" if line.startswith(("%", "!")) else line for line in source.splitlines())
    module = symtable.symtable(plain, "a cell", "exec")
    bound = {s.get_name() for s in module.get_symbols() if s.is_assigned() or s.is_imported()}
    used = {s.get_name() for s in module.get_symbols() if s.is_referenced()}
    inner = list(module.get_children())
    while inner:
        scope = inner.pop()
        used |= {s.get_name() for s in scope.get_symbols() if s.is_global() and s.is_referenced()}
        inner += scope.get_children()
    return bound, used


def sentence(minutes: dict[str, tuple[str, int]]) -> str:
    """What the opening says of the table's rows (title: way, minutes)."""
    way = sum(taken for how, taken in minutes.values() if how == "core")
    easy, hard = (minutes.get(name, ("", 0))[1] for name in (EASY, HARD))
    more = sum(taken for how, taken in minutes.values() if how == "further") - hard
    return (
        f"**It takes** about {way - easy} minutes on the core way, and {easy} for its exercises (●○○). "
        f"What is marked *further* takes {more} more, its exercises {hard}; nothing on the core way needs it."
    )


def table(minutes: dict[str, tuple[str, int]]) -> str:
    """The table of the opening."""
    rows = [f"| {name} | {way} | {taken} |" for name, (way, taken) in minutes.items()]
    return "\n".join(["| part | way | minutes |", "|---|---|--:|", *rows])


def reckoned(notebook: Any) -> dict[str, tuple[str, int]]:
    """The table's rows as they follow from the cells: by title the way and the minutes."""
    return {part.name: ("further" if part.further else "core", part.minutes) for part in parts(notebook)}


def told(notebook: Any) -> dict[str, tuple[str, int]]:
    """The table's rows as the opening has them; empty where it has none."""
    return {name: (way, int(minutes)) for name, way, minutes in _rows(notebook)}


def _rows(notebook: Any) -> Iterator[tuple[str, str, str]]:
    opening = "\n".join(cell.source for cell in notebook.cells[:4] if cell.cell_type == "markdown")
    yield from _ROW.findall(opening)


def main() -> int:
    """Print what belongs into the openings of the labs that are named."""
    for path in make_labs.chosen(sys.argv[1:]):
        rows = reckoned(nbformat.read(path, as_version=4))
        print(f"{path.stem}\n\n{sentence(rows)}\n\n{table(rows)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
