"""The house that ``ddl_lab`` is: its floors, its map (docs/package.md), and how long each room is.

python -m tools.house map      write docs/package.md anew, from the first lines of the files' docstrings
python -m tools.house lines    print the lines of the core, room by room, and of the rest
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ddl_lab"
MAP = ROOT / "docs" / "package.md"

# Imports point downward only, or stay on a floor: tests/house/test_floors.py holds the package to it.
FLOORS = {
    5: ["widgets", "exercises", "learner", "frameworks"],  # what the learner touches
    4: ["plots", "strategies"],  # what is drawn, and what is taught
    3: ["processes", "virtual", "restarts", "forecast", "ticker", "interpreter"],  # the two engines
    2: ["node", "training"],  # what a worker is given, and its task
    1: ["travel", "cluster", "history", "errors", "ranges", "counted", "tables", "moved"],  # the ground
}
STAIRS = {  # the floors inside a room
    "processes": {4: ["run", "torchrun"], 3: ["watch", "job"], 2: ["launch"], 1: ["transports", "plan"]},
    "plots": {2: ["labs", "histories"], 1: ["canvas", "costs", "lines", "parts", "standing"]},
}
NAMES = {
    5: "what the learner touches",
    4: "what is drawn, and what is taught",
    3: "the two engines, and what measures and predicts",
    2: "what a worker is given, and its task",
    1: "the ground: how things travel, what they cost, what happened",
}
CORE = ["node", "training", "cluster", "virtual"]  # and the strategies, which are counted apart

_HEAD = """# The package, file by file

`ddl_lab/`, from the top floor down: imports point downward only. Written by `make map` from the first line of
each file; what a room is for, and what it must not know, stands at the top of its `__init__.py`. README.md
says in which order to read.
"""


def says(path: Path) -> str:
    """The first line of a file's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".").replace("``", "`")


def files_of(name: str) -> Iterator[Path]:
    """The files of a room, the room's own first; of a loose name, its one file."""
    folder = PACKAGE / name
    if not folder.is_dir():
        yield folder.with_suffix(".py")
        return
    yield from sorted(folder.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path))


def package_map() -> str:
    """docs/package.md, as it should read."""
    parts = [_HEAD]
    for floor, names in FLOORS.items():
        rows = [_row(path) for name in names for path in files_of(name)]
        parts.append(
            f"## Floor {floor}: {NAMES[floor]}\n\n| file | what is in it |\n|---|---|\n" + "".join(rows)
        )
    return "\n".join(parts)


def _row(path: Path) -> str:
    place = path.relative_to(PACKAGE)
    if path.name == "__init__.py":
        return f"| **`{place.parent}/`** | **{says(path)}** |\n"
    return f"| `{place}` | {says(path)} |\n"


def lines() -> str:
    """A table: lines of each room of the core, of the strategies, and of the rest."""
    count = {name: sum(map(_lines, files_of(name))) for names in FLOORS.values() for name in names}
    rest = sorted((name for name in count if name not in (*CORE, "strategies")), key=count.__getitem__)
    rows = [(name, count[name]) for name in CORE]
    rows += [("the core", sum(count[name] for name in CORE)), ("strategies", count["strategies"])]
    rows += [(name, count[name]) for name in reversed(rest)]
    rows += [("the package", sum(count.values()) + _lines(PACKAGE / "__init__.py"))]
    return "\n".join(f"{name:<12} {number:>7,}" for name, number in rows)


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def main() -> None:
    """Carry out what the command line asks for."""
    asked = sys.argv[1:]
    if asked == ["map"]:
        MAP.write_text(package_map(), encoding="utf-8")
    elif asked == ["lines"]:
        print(lines())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
