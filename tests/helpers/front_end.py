"""A real JupyterLab or Notebook 7, and a notebook opened in it by a real Chromium.

Both are waited for on what they say: an answer, a kernel's status, a cell's number; never on time.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
from waiting import wait_until

from tools.chromium import CHROMIUM

SLOWLY_S = 60  # a page may take on a busy machine: it shows what it waits for sooner, if it can
# what runs in the page: the notebook on screen, its kernel's status, its cells
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
CODE = f"{NOTEBOOK}.content.widgets.filter(c => c.model.type === 'code')"
IDLE = f"{NOTEBOOK}.sessionContext.session?.kernel?.status === 'idle'"
ALL_RAN = f"{CODE}.every(c => c.model.executionCount !== null)"
ERRORS = f"""{CODE}.flatMap(c => c.model.outputs.toJSON())
    .filter(o => o.output_type === 'error').map(o => o.ename + ': ' + o.evalue)"""
SETTINGS = {
    # a flag does not keep the news pop-up out of the pictures
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
    # so that cells out of sight are on the page as well
    "notebook-extension/tracker": '{"windowingMode": "none"}',
}
PAGES = {"jupyterlab": "lab/tree", "notebook": "notebooks"}
# Notebook 7.6's own, whatever the settings: its shortcuts look up a plugin that isn't loaded yet
OWN_FAULTS = {"jupyterlab": (), "notebook": ("Cannot read properties of undefined (reading 'schema')",)}


class Server:
    """``app`` ("jupyterlab" or "notebook") of this Python, of its own settings, on a free port."""

    def __init__(self, folder: Path, app: str = "jupyterlab"):
        self.folder, self.app = folder, app
        for name, text in SETTINGS.items():
            path = folder / ".set/@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True)
            path.write_text(text)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.token = secrets.token_hex(8)
        self.log = (folder / "server.log").open("w")
        places = {"JUPYTER_CONFIG": ".cfg", "JUPYTERLAB_SETTINGS": ".set", "JUPYTERLAB_WORKSPACES": ".ws"}
        own = {f"{name}_DIR": str(folder / place) for name, place in places.items()}
        own["DDL_LAB_HOME"] = str(folder / ".learner")  # of a reader who has predicted nothing so far
        streams = {"stdout": self.log, "stderr": self.log, "env": os.environ | own}
        self.process = subprocess.Popen(self._command(), start_new_session=True, **streams)

    def _command(self) -> list[str]:
        options = {
            "--ip": "127.0.0.1", "--port": self.address.rpartition(":")[2], "--ServerApp.port_retries": 0,
            "--IdentityProvider.token": self.token, "--ServerApp.root_dir": self.folder,
        }  # fmt: skip
        flags = ["--no-browser", "--allow-root", "--expose-app-in-browser"]
        return [sys.executable, "-m", self.app, *flags, *(f"{k}={v}" for k, v in options.items())]

    def wait(self) -> None:
        """Return once it answers."""
        wait_until(self._answers, f"{self.app} did not start", SLOWLY_S)

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"{self.app} did not start"
        try:
            urllib.request.urlopen(f"{self.address}/api/status?token={self.token}", timeout=2).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def page_of(self, notebook: str) -> str:
        """The address of a notebook in its folder."""
        return f"{self.address}/{PAGES[self.app]}/{notebook}?token={self.token}&reset"

    def processes(self) -> set[int]:
        """All that run below the server: kernels, the fork server, workers."""
        return {child.pid for child in psutil.Process(self.process.pid).children(recursive=True)}

    def close(self) -> None:
        """End it and all that it started."""
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.log.close()


@contextlib.contextmanager
def chromium_at(server: Server):
    """A page of a real Chromium, once ``server`` answers; afterwards nothing on it may have failed."""
    from playwright.sync_api import sync_playwright  # not everywhere installed: the caller has looked

    options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    try:
        server.wait()
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=CHROMIUM, headless=True, args=options)
            page = browser.new_page(viewport={"width": 1280, "height": 1100})
            page.set_default_timeout(1_000 * SLOWLY_S)
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            yield page
            browser.close()
            errors = [error for error in errors if error not in OWN_FAULTS[server.app]]
            assert not errors, errors
    finally:
        server.close()


class Open:
    """A notebook of the server's folder, open in ``page``."""

    def __init__(self, page, server: Server, notebook: str):
        self.page, self.server, self.notebook = page, server, notebook

    def open(self) -> None:
        """Go to it, and wait until its kernel is ready."""
        self.page.goto(self.server.page_of(self.notebook), wait_until="domcontentloaded")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")
        self.page.wait_for_function(f"window.jupyterapp && {NOTEBOOK} && {NOTEBOOK}.sessionContext")
        self.page.evaluate(f"{NOTEBOOK}.sessionContext.ready")
        if self.server.app == "jupyterlab":  # in Notebook 7 nothing is beside the notebook
            self.page.evaluate("window.jupyterapp.shell.collapseLeft()")

    def run_all(self, failing: int = 0, timeout_s: float = SLOWLY_S) -> None:
        """Run all cells, of which so many are to fail."""
        self.page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        until = f"{ALL_RAN} || {ERRORS}.length > {failing}"
        self.page.wait_for_function(until, timeout=1_000 * timeout_s)
        assert len(self.page.evaluate(ERRORS)) == failing, self.page.evaluate(ERRORS)
        self.page.wait_for_function(IDLE)

    def save(self) -> None:
        """Write it to its file, outputs and all."""
        self.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
