"""``ddl-lab``: copy the labs to a folder of the learner's own, and open JupyterLab there (`make lab`).

ddl-lab                             your copies in my_labs, in this folder; opens a browser
ddl-lab --folder ~/course           somewhere else
ddl-lab --no-browser --port 8890    what it doesn't know itself goes to JupyterLab
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import metadata
from pathlib import Path

from ..counted import counted
from ..errors import LabError
from ..training import course
from . import copies, file

FIRST = "00_start_here.ipynb"


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; in the end this process becomes JupyterLab's server. 1 on an error."""
    asked, further = _parser().parse_known_args(words)
    mine = Path(asked.folder).expanduser()
    try:
        said = prepare(mine)
    except (OSError, LabError) as error:
        print(f"ddl-lab: {error}", file=sys.stderr)
        return 1
    print(*said, sep="\n", flush=True)
    if asked.copies_only:
        return 0
    print("JupyterLab starts; Ctrl-C twice in this window ends it.", flush=True)
    if asked.no_browser:
        further = ["--no-browser", *further]
    server = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={mine}"]
    os.execv(sys.executable, [*server, f"--LabApp.default_url=/lab/tree/{FIRST}", *further])


def prepare(mine: Path) -> list[str]:
    """Bring the copies in ``mine`` up to date, and say where everything is.

    Raises ``LabError`` for a folder that would hide the package or is the course's own, ``OSError`` where it
    can't be written.
    """
    if mine.resolve().name == "ddl_lab":
        raise LabError(
            f"a folder named ddl_lab would hide the package from notebooks beside it: name {mine} "
            "otherwise, such as --folder my_labs"
        )
    labs = course.folder("labs")
    news = copies.hand_out(labs, mine)
    there = len(list(labs.glob("*.ipynb")))
    return [
        *news,
        f"ddl_lab {metadata.version('ddl_lab')}: {counted(there, 'lab')}, read from {labs}",
        f"your own copies:  {mine.resolve()}",
        f"your predictions: {file.home()}",
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ddl-lab",
        description="Copy the labs to a folder of your own and open JupyterLab there.",
        epilog="Anything else is handed on to JupyterLab: ddl-lab --port 8890.",
        allow_abbrev=False,
    )
    parser.add_argument("--folder", default="my_labs", help="where your copies are (default: my_labs, here)")
    parser.add_argument("--no-browser", action="store_true", help="don't open a browser, print the address")
    parser.add_argument("--copies-only", action="store_true", help="copy the labs, and open nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
