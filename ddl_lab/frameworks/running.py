"""``run``: one framework's own launcher, watched, its ranks counted, and all of it ended in every case."""

from __future__ import annotations

import contextlib
import json
import math
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from ..counted import counted
from ..errors import LabError, StoppedRun
from ..history.history import History
from ..ranges import check_number, check_whole
from . import compare, reaper
from .environments import this_python, this_system
from .launching import command, environment_of, variables
from .table import Framework
from .task import EPOCHS, write_task
from .telling import Line

LOOK_S, BITS = 0.1, 16
LAST_LINES = 12  # of a log, where a run has failed


class FrameworkError(LabError):
    """A framework didn't do what was asked. The message has the last lines of its log."""


def run(
    framework: Framework,
    nodes: int = 4,
    *,
    timeout_s: float = 300.0,
    epochs: int = EPOCHS,
    progress: bool = True,
) -> History:
    """Train as ``nodes`` ranks of the framework; return their History, to be laid over ``lab.run``'s.

    ``history.about`` has "framework", "step_s" (seconds a step), "differences" (the largest of a loss and of
    a parameter from ``lab.run``'s). ``history.startup_s``: from the launcher's start until all ranks train.
    Raises ``FrameworkError`` where it isn't installed, fails, or other ranks took part than were asked;
    ``StoppedRun`` after ``timeout_s``. Whatever is raised, an interrupt included, no process of it stays.
    """
    check_whole("run", "nodes", nodes, 1, BITS)
    check_whole("run", "epochs", epochs, 1, BITS)
    check_number("timeout_s", timeout_s)
    _check_installed(framework)
    line = Line(progress)
    with tempfile.TemporaryDirectory(prefix="ddl", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        write_task(folder, epochs)
        began_s = time.time()
        code = _carry_out(framework, nodes, folder, timeout_s, line)
        said, log = _lines(folder), _log(folder)
    line.tell(f"{framework.title}: {counted(len(said), 'rank')} reported, {time.time() - began_s:.1f} s")
    line.close()
    if code:
        raise FrameworkError(f"{framework.title} ended with exit code {code}{_told(log)}")
    check_ranks(framework.title, said, nodes, log)
    return compare.history_of(framework, said, began_s, epochs)


def _check_installed(framework: Framework) -> None:
    environment = environment_of(framework)
    if environment is None or environment.is_ready():
        return
    if not environment.lock.is_file():
        raise FrameworkError(f"{framework.title} has no lock on this course's list: it can't be installed")
    call = f"lab.frameworks.{framework.name}.install()"
    mine, locked = f"{this_system()}, Python {this_python()}", environment.told("system")
    locked += f", Python {environment.told('python')}"
    where = f"; its lock is for {locked}, and this is {mine}" if mine != locked else ""
    raise FrameworkError(
        f"{framework.title} isn't installed: {call} does it, about {environment.told('megabytes')} MB{where}"
    )


def _carry_out(framework: Framework, nodes: int, folder: Path, timeout_s: float, line: Line) -> int:
    """The launcher's exit code, once it and all that came of it are gone."""
    with _watched(framework, nodes, folder) as process:
        start = time.monotonic()
        while process.poll() is None:
            passed = time.monotonic() - start
            if passed > timeout_s:
                raise StoppedRun(
                    f"{framework.title}: not finished after timeout_s={timeout_s:g}; all its processes are "
                    f"ended{_told(_log(folder))}"
                )
            began = len(list(folder.glob("began-*")))
            line.tell(f"{framework.title}: {passed:.0f} s, {began} of {nodes} ranks train")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_S)
        return int(process.returncode)


def _watched(framework: Framework, nodes: int, folder: Path) -> AbstractContextManager[subprocess.Popen]:
    """A process that runs the launcher; it has ended, with all below it, when this is left."""
    quiet = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
    told = variables(framework, nodes, folder)
    return reaper.over(str(folder / "log"), command(framework, nodes), env=told, cwd=folder, **quiet)


def _lines(folder: Path) -> list[dict[str, Any]]:
    """What each rank reported, by rank.

    Where one process reports for ranks that trained in others (Flower's server), it knows when they began and
    when all ended: their steps are spread evenly between.
    """
    said = [json.loads(file.read_text()) for file in folder.glob("rank-*.json")]
    for line in said:
        began = folder / f"began-{line['rank']}"
        if not line["began_s"] and began.exists():
            times = np.linspace(began.stat().st_mtime, line["ended_s"], len(line["losses"]) + 1)
            line["began_s"] = times[:-1].tolist()
    return sorted(said, key=lambda line: (line["rank"], line["pid"]))


def _log(folder: Path) -> list[str]:
    log = folder / "log"
    return log.read_text(errors="replace").splitlines() if log.exists() else []


def _told(log: Sequence[str]) -> str:
    last = [line for line in log if line.strip()][-LAST_LINES:]
    return "\n".join([": the last lines of its log:", *(f"  {line[:160]}" for line in last)]) if last else ""


def check_ranks(title: str, said: Sequence[dict[str, Any]], nodes: int, log: Sequence[str] = ()) -> None:
    """Raise ``FrameworkError`` unless ranks 0 to nodes − 1 took part, once each, and knew of each other."""
    ranks, worlds = [line["rank"] for line in said], {line["world"] for line in said}
    if ranks == list(range(nodes)) and worlds == {nodes}:
        broken = [line["rank"] for line in said if not all(map(math.isfinite, line["losses"]))]
        if broken:
            raise FrameworkError(f"{title}: the losses of rank {broken[0]} aren't numbers")
        return
    asked = f"{title}: {counted(nodes, 'rank')} {'was' if nodes == 1 else 'were'} asked"
    if not said:
        raise FrameworkError(f"{asked}, and none reported{_told(log)}")
    if worlds == {1} and len(said) > 1:
        raise FrameworkError(
            f"{asked}, and {len(said)} processes ran, each as rank 0 of 1: each trained alone, on all rows"
        )
    took = f"{asked}, and {counted(len(said), 'rank')} took part"
    alone = "it trained on all rows, as one process does" if len(said) == 1 else f"ranks {ranks}"
    raise FrameworkError(f"{took}: {alone}. It ended with exit code 0, and said nothing")
