"""The labs wherever notebooks run: jupyter execute, papermill, a kernel as an editor starts it, a browser.

Two labs here; DDL_LAB_REACH=all (`make reach`) takes every lab through every way.
"""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from front_end import PAGES, Open, Server, chromium_at
from kernels import Kernel
from waiting import wait_until

from ddl_lab.learner.stripped import without_outputs
from tools.chromium import CHROMIUM

ROOT = Path(__file__).parents[2]
ALL = os.environ.get("DDL_LAB_REACH") == "all"
LABS = sorted(path.name for path in (ROOT / "labs").glob("*.ipynb"))
SOME = LABS if ALL else [name for name in LABS if name.startswith(("01", "02"))]
ONE = LABS if ALL else SOME[:1]
PACED = re.compile(r"lab\.(?:run|start|keep_going)\([^)]*cluster=")  # real processes that keep a clock
LONG_S = 240  # a lab may take on a busy machine


def is_paced(name):
    return any(PACED.search(cell.source) for cell in cells_of(ROOT / "labs" / name))


def cells_of(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def fails(cell):
    """Whether a cell fails on purpose."""
    return "raises-exception" in cell.metadata.get("tags", [])


def finished(path):
    """That every cell of a notebook ran, and none failed but those that should."""
    for cell in cells_of(path):
        assert cell.execution_count, cell.source
        failed = [output for output in cell.outputs if output.output_type == "error"]
        assert not failed or fails(cell), failed


def papermill(name, folder):
    """Run a lab by papermill from and to a folder of any name, as a script would.

    It runs on after a cell that fails on purpose, as all others do; at the end it says 1 for it all the same.
    """
    source, target = folder / name, folder / f"ran {name}"
    shutil.copy(ROOT / "labs" / name, source)
    words = [sys.executable, "-m", "papermill", source, target, "--cwd", folder, "-k", "python3"]
    done = subprocess.run(
        [*map(str, words), "--no-progress-bar"], capture_output=True, text=True, check=False
    )
    failing = any(map(fails, cells_of(source)))
    assert done.returncode == int(failing), done.stderr[-3000:]
    assert ("PapermillExecutionError" in done.stderr) == failing
    finished(target)


@pytest.mark.parametrize("name", SOME[-1:] if not ALL else SOME)
def test_by_jupyter_execute(name, tmp_path):
    shutil.copy(ROOT / "labs" / name, tmp_path)
    words = [sys.executable, "-m", "jupyter", "execute", "--inplace", str(tmp_path / name)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    finished(tmp_path / name)


@pytest.mark.parametrize("name", ONE)
def test_by_papermill_where_the_path_has_spaces_and_umlauts(name, tmp_path):
    folder = tmp_path / "meine Übungen, 2. Teil"
    folder.mkdir()
    papermill(name, folder)


@pytest.mark.skipif(not ALL, reason="four labs at once: make reach")
def test_by_papermill_four_at_once(tmp_path):
    names = [name for name in LABS if not is_paced(name)]
    assert len(names) > 3
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda name: papermill(name, tmp_path), names):
            pass


@pytest.mark.parametrize("name", ONE)
def test_in_a_kernel_as_an_editor_starts_it(name, tmp_path, monkeypatch):
    """VS Code: a kernel of the chosen Python in the notebook's folder; somebody sits there; no cell ids."""
    monkeypatch.chdir(tmp_path)
    kernel = Kernel(DDL_LAB_HOME=str(tmp_path / "learner"), VSCODE_PID="1")
    try:
        for cell in cells_of(ROOT / "labs" / name):
            _, error = kernel.run(cell.source, timeout=250)
            assert error is None or fails(cell), error
    finally:
        kernel.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
@pytest.mark.parametrize(
    ("app", "name"), [(app, name) for name in ONE for app in PAGES] if ALL else [("notebook", ONE[0])]
)
def test_in_a_browser(app, name, tmp_path):
    """A real JupyterLab or Notebook 7 in a real Chromium: all cells run, a box takes a prediction."""
    path = tmp_path / name
    path.write_text(without_outputs(ROOT / "labs" / name))  # a number on the page: that cell ran
    failing = sum(map(fails, cells_of(path)))
    server = Server(tmp_path, app)
    with chromium_at(server) as page:
        notebook = Open(page, server, name)
        notebook.open()
        notebook.run_all(failing, timeout_s=LONG_S)
        notebook.save()
        wait_until(lambda: all(cell.execution_count for cell in cells_of(path)), "it was never saved")
        finished(path)
        box = page.locator(".jp-OutputArea .widget-text input").first
        box.fill("12")
        box.press("Enter")
        page.get_by_text("Written: 12").first.wait_for()
