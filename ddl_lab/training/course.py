"""Where the course's own files lie, in the repository or in a wheel; and which torch it was tested with."""

from __future__ import annotations

import warnings
from importlib import metadata
from pathlib import Path

import torch
from packaging.requirements import Requirement

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


def check_torch(version: str = torch.__version__, asked: list[str] | None = None) -> None:
    """Warn where torch's ``version`` isn't one that the package asks for; ``asked``: all it asks for."""
    if asked is None:
        try:
            asked = metadata.requires("ddl_lab") or []
        except metadata.PackageNotFoundError:  # a copy of the package that nobody installed
            return
    for need in map(Requirement, asked):
        if need.name == "torch" and not need.specifier.contains(version.partition("+")[0], prereleases=True):
            warnings.warn(
                f"ddl_lab is tested with torch{need.specifier}, and this is torch {version}: numbers may "
                f"differ, calls may fail. pip install 'torch{need.specifier}' mends it.",
                stacklevel=3,
            )
