"""From the labs to a folder of pages: their sources, MathJax, and Sphinx."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

from tools.ways import told as minutes_told

from .pages import Pages
from .press import pressed

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "book"
MOST_BYTES = 1_000_000  # of one explorer's pictures


class BookError(RuntimeError):
    """The book can't be built; the words say why, and what to do."""


def build(out: Path, kept: Path, moving: Sequence[str] | None = None, labs: Path = ROOT / "labs") -> None:
    """Write the book of ``labs`` into ``out``; ``moving``: those whose explorers move, None for all.

    ``kept``: pictures of explorers, by the hash of what made them. ``out`` is put in place whole, or stays as
    it was. Raises ``BookError`` where npm or Sphinx fail.
    """
    with tempfile.TemporaryDirectory(prefix="ddl_lab_book_") as folder:
        source, pages = Path(folder) / "source", Path(folder) / "pages"
        _start(source)
        for lab in sorted(labs.glob("*.ipynb")):
            began = time.monotonic()
            moves = moving is None or any(lab.name.startswith(name) for name in moving)
            count = _write(lab, source, pressed(lab, kept) if moves else None)
            took = f", {time.monotonic() - began:.0f} s" if moves else ""
            print(f"{lab.stem}: {count} pictures of explorers{took}", flush=True)
        (source / "index.md").write_text(cover(labs), encoding="utf-8")
        _mathjax(source / "_static" / "mathjax", Path(folder))
        _sphinx(source, pages)
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(pages, out)


def _start(source: Path) -> None:
    (source / "_static").mkdir(parents=True)
    shutil.copy(DOCS / "conf.py", source)
    for name in ("book.css", "book.js", "icon.svg"):
        shutil.copy(DOCS / name, source / "_static")
    shutil.copy(ROOT / "docs" / "lab.png", source / "_static")
    for page in DOCS.glob("*.md"):
        if page.name != "cover.md":  # which becomes index.md
            shutil.copy(page, source)
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    (source / "glossary.md").write_text(glossary.replace("](../labs/", "]("), encoding="utf-8")


def _write(lab: Path, source: Path, pictures: Path | None) -> int:
    """Put a lab's page among the sources; how many pictures its explorers have."""

    def save(name: str, content: bytes) -> None:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    told: dict[str, Any] = {}
    if pictures is not None:
        told = json.loads((pictures / "pressed.json").read_text(encoding="utf-8"))
        _hold(lab, told, pictures)
    notebook = json.loads(lab.read_text(encoding="utf-8"))
    page = Pages(save).page(lab.stem, notebook, told, pictures or source)
    (source / lab.name).write_text(json.dumps(page, ensure_ascii=False), encoding="utf-8")
    return sum(len(one["pictures"]) for one in told.values())


def _hold(lab: Path, told: dict[str, Any], pictures: Path) -> None:
    for cell, one in told.items():
        names = {picture["src"] for picture in one["pictures"].values() if picture["src"]}
        size = sum((pictures / name).stat().st_size for name in names)
        if size > MOST_BYTES:
            raise BookError(
                f"{lab.name}, cell {cell}: its pictures are {size:,} bytes; at most {MOST_BYTES:,}"
            )


def cover(labs: Path) -> str:
    """The cover page: docs/book/cover.md with the map of the labs in it."""
    rows, entries = [], []
    for lab in sorted(labs.glob("*.ipynb")):
        notebook = nbformat.read(lab, as_version=4)
        title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
        times = minutes_told(notebook)
        core, further = (sum(m for way, m in times.values() if way == name) for name in ("core", "further"))
        rows.append(f"| [{title}]({lab.name}) | {core} | {further} |")
        entries.append(lab.stem)
    text = (DOCS / "cover.md").read_text(encoding="utf-8")
    return text.replace("{labs}", "\n".join(rows)).replace("{entries}", "\n".join(entries))


def _mathjax(target: Path, folder: Path) -> None:
    """MathJax with fonts and licence, as docs/book/package-lock.json pins it: no page asks the network."""
    npm = folder / "npm"
    npm.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(DOCS / name, npm)
    if shutil.which("npm") is None:
        raise BookError("npm is missing, which brings MathJax: install it (Debian: apt-get install npm)")
    _run(["npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts"], npm)
    found = npm / "node_modules" / "mathjax"
    (target / "output" / "chtml").mkdir(parents=True)
    shutil.copy(found / "es5" / "tex-chtml.js", target)
    shutil.copy(found / "LICENSE", target)
    shutil.copytree(found / "es5" / "output" / "chtml" / "fonts", target / "output" / "chtml" / "fonts")


def _sphinx(source: Path, pages: Path) -> None:
    from sphinx.cmd.build import build_main

    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = build_main(["-q", "-b", "html", "-d", str(pages) + "-doctrees", str(source), str(pages)])
    if code:
        raise BookError(f"Sphinx ended with {code}:\n{said.getvalue()}")
    if said.getvalue().strip():
        print(said.getvalue().strip())
    (pages / ".buildinfo").unlink(missing_ok=True)
    (pages / ".nojekyll").touch()  # so that pages of a fork serve the folders that begin with a line


def _run(words: list[str], folder: Path) -> None:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BookError(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
