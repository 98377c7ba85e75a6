"""What tests of the classroom are run with: its environment, its page, the lab that learners work through."""

import functools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from reading import TIMINGS

from tests.house.test_environment import lock_pins
from tools.make_classroom import LOCKS, Failed, Unavailable, make

ROOT = Path(__file__).parents[2]
LAB = "00_start_here.ipynb"
TRY = """
import os
def tried(action, *where):
    try:
        print(action.__name__, "opened", *where, action(*where))
    except PermissionError:
        print("refused")
"""


@functools.cache
def made():
    """The classroom's environment, or why it can't be made: tried once."""
    try:
        return make(os.environ.get("TORCH_INDEX", ""))
    except Unavailable as missing:
        return missing


@functools.cache
def pip_works():
    """Whether pip reaches an index here: it gets one small package of the lock."""
    package = f"packaging=={lock_pins(LOCKS[0].read_text())['packaging']}"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*pip, "--dest", folder, package], capture_output=True, timeout=300)
    return done.returncode == 0


def environment():
    """The classroom's environment, made if it isn't there.

    Where something that it takes is missing, npm or a network, the test skips. Where nothing is, it fails.
    """
    missing = made()
    if isinstance(missing, Failed) and pip_works():
        pytest.fail(f"pip works here, but .venv-classroom could not be made: {missing}")
    if isinstance(missing, Unavailable):
        pytest.skip(f"no .venv-classroom: {missing}")
    return missing


def told(beginning):
    """The shell block of docs/classroom.md that begins so, for the course where it lies here."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/classroom.md").read_text(), re.S)
    (block,) = [block for block in blocks if block.startswith(beginning)]
    return block.replace("/opt/ddl_lab", str(ROOT))


def cells_of(learner):
    """All code of lab 00, from the learner's own folder, but what times this machine."""
    status, model = learner.ask("GET", f"/api/contents/labs/{LAB}")
    assert status == 200, model
    cells = nbformat.from_dict(model["content"]).cells
    return [cell for cell in cells if cell.cell_type == "code" and cell.id not in TIMINGS]


def shipped():
    """What the course's own lab 00 shows, by cell id: a learner's copy has no outputs."""
    return {cell.id: cell for cell in nbformat.read(ROOT / "labs" / LAB, as_version=4).cells}


def printed(cell):
    return "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
