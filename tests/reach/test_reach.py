"""The labs wherever notebooks run: jupyter execute, papermill, a kernel as an editor starts it, Notebook 7.

Two labs here; DDL_LAB_REACH=all (`make reach`) takes every lab through every way.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from kernels import Kernel
from playwright.sync_api import TimeoutError as PageTimeout
from waiting import wait_until

from ddl_lab.learner.stripped import without_outputs
from tools.chromium import CHROMIUM

ROOT = Path(__file__).parents[2]
ALL = os.environ.get("DDL_LAB_REACH") == "all"
LABS = sorted(path.name for path in (ROOT / "labs").glob("*.ipynb"))
SOME = LABS if ALL else [name for name in LABS if name.startswith(("01", "02"))]
ONE = LABS if ALL else SOME[:1]
PACED = re.compile(r"lab\.(?:run|start|keep_going)\([^)]*cluster=")  # real processes that keep a clock
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/\S*\?token=(\w+)")


def is_paced(name):
    return any(PACED.search(cell.source) for cell in cells_of(ROOT / "labs" / name))


def cells_of(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def finished(path):
    """That every cell of a notebook ran, and none failed but those that should."""
    for cell in cells_of(path):
        assert cell.execution_count, cell.source
        failed = [output for output in cell.outputs if output.output_type == "error"]
        assert not failed or "raises-exception" in cell.metadata.get("tags", []), failed


def papermill(name, folder):
    """Run a lab by papermill from and to a folder of any name, as a script would."""
    source, target = folder / name, folder / f"ran {name}"
    shutil.copy(ROOT / "labs" / name, source)
    words = [sys.executable, "-m", "papermill", source, target, "--cwd", folder, "-k", "python3"]
    done = subprocess.run(
        [*map(str, words), "--no-progress-bar"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    finished(target)


@pytest.mark.parametrize("name", ONE)
def test_by_jupyter_execute(name, tmp_path):
    shutil.copy(ROOT / "labs" / name, tmp_path)
    words = [sys.executable, "-m", "jupyter", "execute", "--inplace", str(tmp_path / name)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    finished(tmp_path / name)


@pytest.mark.parametrize("name", SOME[-1:] if not ALL else SOME)
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
            assert error is None or "raises-exception" in cell.metadata.get("tags", []), error
    finally:
        kernel.close()


def answers(address):
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except OSError:
        return False
    return True


def ran_all(page):
    """Press Run All Cells; whether a cell ran or runs: before the kernel is there nothing happens."""
    page.get_by_role("menuitem", name="Run", exact=True).click(timeout=60_000)
    page.get_by_text("Run All Cells", exact=True).first.click()
    try:
        page.locator(".jp-InputPrompt", has_text=re.compile(r"\[(\*|1)\]")).first.wait_for(timeout=5_000)
    except PageTimeout:
        return False
    return True


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
@pytest.mark.parametrize("name", ONE)
def test_in_notebook_7(name, tmp_path):
    """A real Notebook 7 in a real Chromium: all cells run, and the first box takes a prediction."""
    from playwright.sync_api import sync_playwright

    (tmp_path / name).write_text(without_outputs(ROOT / "labs" / name))  # a number on the page: that cell ran
    said = tmp_path / "said"
    places = {"JUPYTER_CONFIG_DIR": ".cfg", "JUPYTERLAB_SETTINGS_DIR": ".set", "DDL_LAB_HOME": ".learner"}
    own = {name: str(tmp_path / place) for name, place in places.items()}
    cells = tmp_path / ".set/@jupyterlab/notebook-extension"
    cells.mkdir(parents=True)  # so that cells out of sight are on the page as well
    (cells / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    words = [
        "notebook",
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        "--port=0",
        f"--notebook-dir={tmp_path}",
    ]
    with said.open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", *words], stderr=log, env=os.environ | own)
    try:
        wait_until(lambda: ADDRESS.search(said.read_text()), "Notebook never told its address")
        port, token = ADDRESS.search(said.read_text()).groups()
        wait_until(
            lambda: answers(f"http://127.0.0.1:{port}/api/status?token={token}"), "Notebook never answered"
        )
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{port}/notebooks/{name}?token={token}")
            wait_until(lambda: ran_all(page), "Run All did nothing: the kernel was never there")
            page.keyboard.press("Escape")
            page.keyboard.press("Control+Home")  # cells out of sight are not on the page
            box = page.locator(".jp-OutputArea .widget-text input").first
            box.fill("12", timeout=120_000)
            box.press("Enter")
            page.get_by_text("Written: 12").first.wait_for(timeout=60_000)
            browser.close()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
