"""Making an environment from its lock, and taking it away: told beforehand, interruptible, resumed."""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import shutil
import subprocess
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..counted import counted
from ..errors import LabError
from . import reaper
from .environments import Environment, courses_packages, packages_of, place, this_python, this_system
from .telling import Line

OURS = "/dev/fd/1"  # as a file: where the process that opens it writes what it has to say
SPARE = 1.3  # more room than the environment takes: what pip downloads lies beside it for a while


class CantInstall(LabError):
    """An environment can't be made here; the message says why, and what to do."""


def install(environment: Environment, *, torch_index: str = "", agreed: Callable[[str], bool]) -> bool:
    """Make the environment from its lock, unless it is ready; whether it is ready now.

    ``agreed(question)`` is asked before anything is fetched. ``torch_index``: an index of torch wheels to use
    besides the usual one, as for ``make setup``. Raises ``CantInstall``.
    """
    refuse(environment)
    if environment.is_ready():
        return True
    if not agreed(question(environment)):
        return False
    with _read_by_all(), _alone(environment):
        if not environment.is_ready():  # somebody else may have made it while we waited
            pins = sum(line[:1] not in ("#", "") for line in environment.lock.read_text().splitlines())
            make(environment, ["-r", str(environment.lock)], torch_index, pins)
            environment.stamp.write_text(environment.fingerprint())  # last: one cut short never counts
    return True


def remove(environment: Environment) -> None:
    """Take the environment away; nothing where it isn't there. Raises ``CantInstall``."""
    if environment.folder.exists():
        _check_mine(environment)
        environment.stamp.unlink(missing_ok=True)  # first: half of one never counts
        shutil.rmtree(environment.folder)


def question(environment: Environment) -> str:
    """What is going to be fetched, how much and how long, as the lock's own making took."""
    size, seconds = int(environment.told("megabytes")), int(environment.told("seconds"))
    minutes = counted(max(1, round(seconds / 60)), "minute")
    return f"{environment.name}: {size:,} MB into {environment.folder}, about {minutes}. Install it?"


def refuse(environment: Environment) -> None:
    """Raise ``CantInstall`` where the environment can't be made or used here."""
    if not environment.lock.is_file():
        raise CantInstall(f"{environment.name} has no lock: it isn't offered here")
    wanted = environment.told("system"), environment.told("python")
    here = this_system(), this_python()
    if wanted != here:
        raise CantInstall(
            f"the lock of {environment.name} is for {wanted[0]} and Python {wanted[1]}; this is {here[0]} "
            f"and Python {here[1]}: its pins may not exist there. `python -m tools.make_framework_locks "
            f"{environment.name}` writes one for this machine"
        )
    if environment.is_ready():
        return
    if missing := [tool for tool in environment.tools if not shutil.which(tool)]:
        raise CantInstall(
            f"{environment.name} needs {', '.join(missing)}, which isn't here: install it first"
        )
    _check_mine(environment)
    needed = SPARE * int(environment.told("megabytes")) * 1e6
    free = shutil.disk_usage(_existing(environment.folder)).free
    if free < needed:
        raise CantInstall(
            f"{environment.name} takes {needed / 1e6:,.0f} MB while it is installed, and "
            f"{free / 1e6:,.0f} MB are free: make room, or set DDL_LAB_FRAMEWORKS to a folder on another disk"
        )


def _check_mine(environment: Environment) -> None:
    if not os.access(_existing(environment.folder), os.W_OK):
        raise CantInstall(
            f"{place()} is a shared folder that you only read: ask who looks after it for "
            f"{environment.name}, or unset DDL_LAB_FRAMEWORKS to have one of your own"
        )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in [folder, *folder.parents] if path.exists())


@contextmanager
def _read_by_all() -> Iterator[None]:
    """What is made here others may read, whatever the habits of whoever fills a shared folder."""
    habit = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(habit)


@contextmanager
def _alone(environment: Environment) -> Iterator[None]:
    """Nobody else makes this environment meanwhile."""
    environment.folder.parent.mkdir(parents=True, exist_ok=True)
    with environment.folder.with_name(f".{environment.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(environment: Environment, asked: Sequence[str], torch_index: str = "", pins: int = 0) -> None:
    """Make the folder and have pip install ``asked`` into it; what an earlier try left is taken over."""
    environment.stamp.unlink(missing_ok=True)
    if not _works(environment.python):
        builder = venv.EnvBuilder(clear=True, symlinks=True, with_pip=True)
        builder.create(environment.folder)
    if environment.beside:
        (packages_of(environment) / "course.pth").write_text("\n".join(courses_packages()) + "\n")
    index = ["--extra-index-url", torch_index] if torch_index else []
    pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "install", "--no-input"]
    _pip([*pip, "--progress-bar=off", *index, *asked], environment.name, pins)
    if environment.java:
        _give_java(environment)
    if environment.compiled:
        _compile(environment)


JAVA = """\
#!/bin/sh
# This Java has no module of incubating vector operations. Spark asks for it by name, uses it where it is
# there, and a Java that lacks it wouldn't start: so it isn't asked for.
for option do
    shift
    [ "$option" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$option"
done
exec {java} "$@"
"""


def _give_java(environment: Environment) -> None:
    """Put a JAVA_HOME into the environment's folder, whose ``java`` is that of its package."""
    java = packages_of(environment) / environment.java / "bin" / "java"
    called = environment.java_home / "bin" / "java"
    called.parent.mkdir(parents=True, exist_ok=True)
    called.write_text(JAVA.format(java=shlex.quote(str(java))))
    called.chmod(0o755)


def _compile(environment: Environment) -> None:
    """Compile the framework itself and install it; its log stays in the environment's folder."""
    log, build, line = environment.folder / "compiled.log", environment.folder / "build", Line()
    script = str(Path(__file__).with_name("compiling.py"))
    command = [str(environment.python), script, environment.compiled, str(build)]
    line.tell(f"{environment.name}: compiling, some minutes")
    log.unlink(missing_ok=True)
    with reaper.over(str(log), command) as process:
        code = process.wait()
    line.close()
    if code:
        told = [text[:160] for text in log.read_text(errors="replace").splitlines()[-12:]]
        raise CantInstall("\n".join([f"{environment.name} couldn't be compiled:", *told]))
    shutil.rmtree(build)


def _works(python: Path) -> bool:
    """Whether this interpreter is there and has pip: one cut short while it was made hasn't."""
    tried = [str(python), "-c", "import pip"]
    return python.exists() and not subprocess.run(tried, capture_output=True).returncode


def _pip(command: list[str], name: str, pins: int) -> None:
    """Run pip; tell how far it is; end it where we are interrupted. Raises ``CantInstall`` where it fails."""
    line, last, found = Line(), list[str](), 0
    with reaper.over(OURS, command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with process.stdout:
            for text in process.stdout:
                last = [*last[-11:], text.rstrip()]
                found += text.startswith(("Collecting", "Requirement already"))
                doing = "unpacks" if text.startswith("Installing") else "looks up and fetches"
                line.tell(f"{name}: pip {doing}, {found}{f' of {pins}' if pins else ''} packages")
            code = process.wait()
    line.close()
    if code:
        raise CantInstall("\n".join([f"pip couldn't install {name}:", *(f"  {text[:160]}" for text in last)]))


def main() -> None:
    """python -m ddl_lab.frameworks.installing NAME …: install without asking, as for a class."""
    from .environments import ENVIRONMENTS

    parser = argparse.ArgumentParser(
        prog="python -m ddl_lab.frameworks.installing",
        description="Install what lab 17 compares, without asking, to DDL_LAB_FRAMEWORKS or your own folder.",
    )
    parser.add_argument(
        "names", nargs="+", metavar="NAME", choices=[*ENVIRONMENTS], help=", ".join(ENVIRONMENTS)
    )
    for name in parser.parse_args().names:
        install(ENVIRONMENTS[name], agreed=lambda asked: not print(asked))


if __name__ == "__main__":
    main()
