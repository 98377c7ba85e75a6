"""Measure the first five minutes: from `git clone` to the first moved slider, as a new user has them.

    .venv/bin/python -m tools.first_minutes [--torch-index ADDRESS]

A fresh clone, a home without files, pip's cache empty, a real terminal (pip shows its bars only there) and a
real Chromium. Prints when each stage was reached, what was fetched, and each time over two seconds in which
the terminal showed nothing new. Linux and macOS; needs Chromium and git.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

from .chromium import CHROMIUM

ROOT = Path(__file__).parents[1]
LONGEST_S = 1_800
LONG_S = 2.0  # a wait that should show progress
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S*token=\w+")
DOWNLOADED = re.compile(r"(?:Downloading|Using cached|Processing) \S+ \(([\d.]+) ([kMG]?B)\)")
FLAGS = "--no-browser --allow-root --ip=127.0.0.1 --expose-app-in-browser"
UNITS = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
EXPLORER = (
    f"{NOTEBOOK}.content.widgets.findIndex(cell => cell.model.sharedModel.source.includes('lab.explore('))"
)


@dataclass
class Terminal:
    """A command in a terminal: what it said; its silences in seconds, each with what it had said before."""

    pid: int
    screen: int
    said: str = ""
    heard: float = field(default_factory=time.monotonic)
    silences: list[tuple[float, str]] = field(default_factory=list)

    @classmethod
    def start(cls, words: list[str], folder: Path, environ: dict[str, str]) -> Terminal:
        """Start a command in ``folder``, in a session and a terminal of its own."""
        pid, screen = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe(words[0], words, environ)
        return cls(pid, screen)

    def until(self, pattern: re.Pattern[str]) -> str:
        """What ``pattern`` finds, as soon as it was said; a ``RuntimeError`` where it is not."""
        end = time.monotonic() + LONGEST_S
        for _ in self._listen():
            if found := pattern.search(self.said):
                return found.group()
            if time.monotonic() > end:
                break
        raise RuntimeError(f"{pattern.pattern!r} was never said. The last of it:\n{self.said[-2000:]}")

    def _listen(self) -> Iterator[None]:
        while True:
            if select.select([self.screen], [], [], 1.0)[0]:
                try:
                    piece = os.read(self.screen, 65_536).decode(errors="replace")
                except OSError:  # so ends a terminal on Linux
                    piece = ""
                if not piece:
                    return
                silent_s = time.monotonic() - self.heard
                if silent_s > LONG_S:
                    self.silences.append((silent_s, self.said.strip().rpartition("\n")[2]))
                self.heard, self.said = time.monotonic(), self.said + piece
            yield

    def close(self) -> None:
        """End the command and all that it started."""
        os.killpg(self.pid, signal.SIGTERM)
        with contextlib.suppress(psutil.TimeoutExpired):
            psutil.Process(self.pid).wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.close(self.screen)


def environment(home: Path) -> dict[str, str]:
    """The environment of a user who has never installed anything; how pip reaches its index stays."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "DDL_LAB", "VIRTUAL"))
    }
    return kept | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".data"),
    }


def megabytes(said: str) -> float:
    """What pip said that it fetched, in MB."""
    return sum(float(size) * UNITS[unit] for size, unit in DOWNLOADED.findall(said))


def move_a_slider(address: str) -> Iterator[str]:
    """Open lab 00, run it as far as its explorer, move its slider; yields each stage once reached."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1100})
        page.set_default_timeout(300_000)
        page.goto(address, wait_until="domcontentloaded")
        page.wait_for_function(f"window.jupyterapp && {NOTEBOOK} && {NOTEBOOK}.sessionContext")
        page.evaluate(f"{NOTEBOOK}.sessionContext.ready")
        yield "lab 00 is open, its kernel ready"
        place = page.evaluate(EXPLORER)
        page.evaluate(f"{NOTEBOOK}.content.activeCellIndex = {place + 1}")
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-above')")
        page.evaluate(f"{NOTEBOOK}.content.scrollToItem({place})")
        handle = page.locator(".widget-slider .noUi-handle").first
        handle.wait_for(state="attached")
        yield "all cells down to the first slider have run"
        box = page.locator(".widget-text input[placeholder*=Enter]").last  # the slider waits for a prediction
        box.fill("8")
        box.press("Enter")
        page.locator(".widget-slider .noUi-target:not([disabled])").first.wait_for(state="attached")
        told = page.locator(".jp-CodeCell", has=handle).locator(".jp-OutputArea").first
        before = told.inner_html()
        handle.press("ArrowRight")
        page.wait_for_function(
            "([told, before]) => told.innerHTML != before", arg=[told.element_handle(), before]
        )
        yield "the slider was moved, and what it draws is new"
        browser.close()


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Measure the way from git clone to the first moved slider.")
    parser.add_argument("--torch-index", default="", help="handed on to make lab")
    asked = parser.parse_args()
    if CHROMIUM is None:
        print("no Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as place:
        folder, home = Path(place) / "ddl_lab", Path(place) / "home"
        home.mkdir()
        began = time.monotonic()

        def row(stage: str, note: str = "") -> None:
            print(f"{time.monotonic() - began:7.0f} s   {stage}   {note}", flush=True)

        subprocess.run(["git", "clone", "--quiet", f"file://{ROOT}", folder], check=True)
        pack = sum(path.stat().st_size for path in (folder / ".git/objects").rglob("*") if path.is_file())
        row("cloned", f"{pack / 1e6:.0f} MB")
        words = ["make", "lab", f"LAB_FLAGS={FLAGS}"]
        words += [f"TORCH_INDEX={asked.torch_index}"] if asked.torch_index else []
        terminal = Terminal.start(words, folder, environment(home))
        try:
            terminal.until(re.compile("JupyterLab starts"))
            row("installed, your copies are there", f"{megabytes(terminal.said):.0f} MB fetched")
            for silent_s, after in terminal.silences:
                print(f"            {silent_s:4.1f} s of silence after: {after[:80]}")
            address = terminal.until(ADDRESS)
            row("JupyterLab answers")
            for stage in move_a_slider(address):
                row(stage)
        finally:
            terminal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
