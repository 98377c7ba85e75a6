"""Lines of a traceback, as they travel from a node to the caller and read there: the learner's own."""

from __future__ import annotations

import linecache
import os
import site
import sysconfig
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .shell import shell

PACKAGE = str(Path(__file__).parents[1])


@dataclass(frozen=True)
class Frame:
    """One line of a traceback, in a form that travels between processes."""

    file: str
    line: int
    function: str


def library_folders() -> tuple[str, ...]:
    """Folders whose frames are not the learner's: Python's own library and installed packages."""
    paths = sysconfig.get_paths()
    folders = [paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"]]
    return tuple({*folders, *site.getsitepackages(), site.getusersitepackages()})


def learner_frames(tb: TracebackType | None) -> tuple[Frame, ...]:
    """The frames of ``tb`` in the learner's own files; a strategy of the package where there are none."""
    all_frames = [Frame(s.filename, s.lineno or 0, s.name) for s in traceback.extract_tb(tb)]
    libraries = (*library_folders(), "<frozen")
    outside = [f for f in all_frames if not f.file.startswith((PACKAGE, *libraries))]
    return tuple(outside or [f for f in all_frames if "strategies" in f.file])


def _place(file: str) -> str:
    """``file`` as a reader knows it: a notebook cell by its number, else a path from here."""
    compiler: Any = getattr(shell(), "compile", None)
    if hasattr(compiler, "format_code_name") and (named := compiler.format_code_name(file)):
        return " ".join(named)
    path, here = Path(file), working_folder()
    return str(path.relative_to(here)) if here and path.is_relative_to(here) else file


def working_folder() -> str | None:
    """This process's; None where somebody has deleted it."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def show_frame(frame: Frame) -> Iterable[str]:
    """The place of a line as a reader knows it, and the line."""
    yield f"  {_place(frame.file)}, line {frame.line}, in {frame.function}"
    source = linecache.getline(frame.file, frame.line).strip()
    if source:
        yield f"    {source}"
