"""Where the course's own files lie: beside the package in the repository, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def folder(name: str) -> Path:
    """The course's folder ``name``, "labs" or "data": the repository's, or that inside a wheel.

    Where neither is there, the repository's, so that who misses it is told a path that can be mended.
    """
    inside = _PACKAGE / "course" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def mend(path: str) -> str:
    """How to bring a file of the course back, as an error says it; ``path``: from the course's folder."""
    if (_PACKAGE / "course").is_dir():
        return "install the package again (`pip install --force-reinstall --no-deps` and its wheel)"
    if (_PACKAGE.parent / ".git").exists():
        return f"bring it back with `git checkout -- {path}`"
    return f"take {path} from a fresh copy of the course"
