"""Run the labs and rewrite their outputs, in a form in which equal outputs make equal files.

    python tools/make_labs.py               all labs
    python tools/make_labs.py 05 00_start   those whose names begin so
    python tools/make_labs.py --check       run nothing: name the labs that are not in that form

A lab that raises where it shouldn't, is over 1 MB, or shows this machine's folders stays as it was.
"""

from __future__ import annotations

import argparse
import base64
import re
import struct
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

ROOT = Path(__file__).parents[1]
LABS = ROOT / "labs"
MOST_BYTES = 1_000_000
CELL_TIMEOUT_S = 120
SLOW_S = 35  # a lab that takes longer tries a reader's patience, and the tests'

WIDGET = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# what editors leave in cells of when and how they showed them
PASSING = ("execution", "ExecuteTime", "collapsed", "scrolled", "trusted", "editable", "deletable")
FOLDERS = [str(folder) for folder in (ROOT, Path.home(), tempfile.gettempdir())]
PRIVATE = re.compile("|".join([*(re.escape(f"{folder}/") for folder in FOLDERS), "File ~/"]))


class ThisPython(AsyncKernelManager):
    """Starts kernels of the Python that runs this, whatever kernels its user has installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel to start."""
        return KernelSpec(**get_kernel_dict())


def run(notebook: Any) -> None:
    """Run all cells; an error ends it unless its cell is tagged raises-exception."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(
        notebook,
        kernel_manager_class=ThisPython,
        extra_arguments=["--log-level=ERROR"],  # it warns of every kernel that it listens locally
        timeout=CELL_TIMEOUT_S,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(LABS)}},
    ).execute()


def normalise(notebook: Any) -> None:
    """Leave what the cells say and show; drop what depends on when, where and by what they ran."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(METADATA)
    count = 0
    for cell in notebook.cells:
        for key in PASSING:
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            count += bool(cell.source.strip())
            cell.execution_count = count if cell.source.strip() else None
            cell.outputs = list(outputs(cell.outputs, cell.execution_count))


def outputs(found: Iterable[Any], count: int | None) -> Iterator[Any]:
    """The outputs to keep: no widgets, neighbouring streams in one, clean pictures."""
    stream: Any = None
    for output in found:
        if WIDGET in output.get("data", {}):
            continue
        if stream is not None and output.get("name") == stream.name:
            stream.text += output.text
            continue
        stream = output if output.output_type == "stream" else None
        if output.output_type == "execute_result":
            output.execution_count = count
        if "image/png" in output.get("data", {}):
            png = clean_png(base64.b64decode(output.data["image/png"]))
            output.data["image/png"] = base64.b64encode(png).decode()
        yield output


def clean_png(png: bytes) -> bytes:
    """The picture without its texts and times, which name programs and versions."""
    kept, place = [png[:8]], 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        chunk = png[place : place + length + 12]
        if chunk[4:8] not in (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf"):
            kept.append(chunk)
        place += len(chunk)
    return b"".join(kept)


def written(notebook: Any) -> str:
    """The notebook as its file has it."""
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook, version=4)) + "\n"


def faults(notebook: Any, text: str) -> list[str]:
    """What a lab must not be committed with, a sentence each."""
    found = []
    if len(text.encode()) > MOST_BYTES:
        found.append(f"it has {len(text.encode()):,} bytes, more than {MOST_BYTES:,}")
    for cell in notebook.cells:
        raised = [o.ename for o in cell.get("outputs", []) if o.output_type == "error"]
        tagged = "raises-exception" in cell.metadata.get("tags", [])
        if tagged and cell.cell_type == "code" and not raised:
            found.append(f"cell {cell.id} is tagged raises-exception and raises nothing")
        if raised and not tagged:
            found.append(f"cell {cell.id} shows {raised[0]} and isn't tagged raises-exception")
        words = "\n".join(word for output in cell.get("outputs", []) for word in texts(output))
        if private := PRIVATE.search(words):
            found.append(f"cell {cell.id} shows a path of this machine: {private[0]}…")
    return found


def texts(output: Any) -> Iterator[str]:
    """All that an output says in words."""
    yield from (output.get("text", ""), output.get("evalue", ""), *output.get("traceback", []))
    yield from (data for kind, data in output.get("data", {}).items() if kind.startswith("text/"))


def remake(path: Path) -> bool:
    """Run one lab and rewrite it; whether all is well."""
    before = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(before, as_version=4)
    start = time.monotonic()
    try:
        run(notebook)
    except (CellExecutionError, DeadKernelError, TimeoutError) as error:
        print(f"{path.stem}: FAILED, left as it was\n{error}")
        return False
    seconds = time.monotonic() - start
    normalise(notebook)
    text = written(notebook)
    if found := faults(notebook, text):
        print(f"{path.stem}: left as it was: {'; '.join(found)}")
        return False
    state = "unchanged" if text == before else "rewritten"
    slow = f"  SLOW: over {SLOW_S} s" if seconds > SLOW_S else ""
    print(f"{path.stem:28} {seconds:5.1f} s  {len(text.encode()) / 1e3:5.0f} kB  {state}{slow}")
    path.write_text(text, encoding="utf-8")
    return True


def check(path: Path) -> bool:
    """Whether a lab is in the form that ``remake`` writes; says what is not."""
    before = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(before, as_version=4)
    normalise(notebook)
    text = written(notebook)
    found = faults(notebook, text)
    if text != before:
        found.insert(0, "it is not as `make labs` writes it")
    if found:
        print(f"{path.stem}: {'; '.join(found)}: run `make labs`")
    return not found


def chosen(names: Iterable[str]) -> list[Path]:
    """The labs whose names begin with one of ``names``, or all; exits where one names nothing."""
    labs = sorted(LABS.glob("*.ipynb"))
    for name in names:
        if not any(lab.name.startswith(name) for lab in labs):
            known = ", ".join(lab.stem for lab in labs)
            sys.exit(f"no lab begins with {name!r}; there are: {known}")
    return [lab for lab in labs if not names or lab.name.startswith(tuple(names))]


def main() -> int:
    """Do what the command line says; 0 where all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="how the names of the labs begin; all unless told")
    parser.add_argument("--check", action="store_true", help="run nothing, look at their form")
    told = parser.parse_args()
    do = check if told.check else remake
    well = [do(lab) for lab in chosen(told.names)]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
