"""Make .venv-classroom: JupyterHub, its proxy, nbgrader and the whole course, for all users of a machine.

    python3 tools/make_classroom.py [--torch-index ADDRESS]

Learners' servers run as the learners, so the Python must lie where they may read it: the one that
runs this is taken if it does, else the system's. Does nothing where all is up to date.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-classroom"
READY = ENVIRONMENT / ".ready"
PROXY = ROOT / "docs" / "proxy"
LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-classroom.lock"]
MADE_FROM = [*LOCKS, PROXY / "package-lock.json"]
OLDEST = (3, 11)
FACTS = "import sys, ensurepip, venv; print(*sys.version_info[:2], sys.base_prefix, sys._base_executable)"


class Unavailable(RuntimeError):
    """The environment can't be made here; the message says what is missing."""


class Failed(Unavailable):
    """All that it takes is here, and a step of making it failed all the same."""


def open_to_all(path: Path) -> bool:
    """Whether any user may read ``path`` and enter all folders on the way to it."""
    real = path.resolve()
    modes = [folder.stat().st_mode for folder in [real, *real.parents]]
    return bool(modes[0] & stat.S_IROTH) and all(mode & stat.S_IXOTH for mode in modes)


def candidates() -> Iterator[str]:
    """Pythons that may do: the one at work first."""
    yield sys.executable
    for folder in ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"):
        for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
            if (path := Path(folder, name)).exists():
                yield str(path)


def shared_python() -> str:
    """A Python that is new enough, can make environments, and may be read by every user.

    Raises ``Unavailable`` where there is none.
    """
    for python in candidates():
        asked = subprocess.run([python, "-c", FACTS], capture_output=True, text=True)
        if asked.returncode:
            continue  # it lacks venv or ensurepip
        major, minor, prefix, executable = asked.stdout.strip().split(" ", 3)
        if (int(major), int(minor)) >= OLDEST and open_to_all(Path(prefix)) and open_to_all(Path(executable)):
            return executable
    raise Unavailable("no Python from 3.11 on, with venv, that other users may read")


def fingerprint() -> str:
    """What the environment is made from, in short."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in MADE_FROM)).hexdigest()


def is_ready() -> bool:
    """Whether the environment stands as the lock files ask."""
    return READY.exists() and READY.read_text() == fingerprint()


def call(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command that all users may read the results of; raises ``Failed`` if it fails."""
    done = subprocess.run(command, cwd=cwd, umask=0o022, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Failed(f"{Path(command[0]).name} failed: its message is above")


def install(torch_index: str) -> None:
    """Make the environment anew; its stamp comes last, so that one cut short never counts."""
    if not open_to_all(ROOT):
        raise Unavailable(f"{ROOT} can't be read by other users: put the course where they may, as in /opt")
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm isn't installed (on Debian and Ubuntu: apt install nodejs npm)")
    READY.unlink(missing_ok=True)
    call(shared_python(), "-m", "venv", "--clear", ENVIRONMENT)
    pip: list[str | Path] = [
        ENVIRONMENT / "bin/python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
    ]
    index = ["--extra-index-url", torch_index] if torch_index else []
    call(*pip, *index, "-r", LOCKS[0], "-r", LOCKS[1])
    call(*pip, "--no-deps", "--no-build-isolation", "--editable", ".")
    shutil.copytree(PROXY, ENVIRONMENT / "proxy")
    call(npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=ENVIRONMENT / "proxy")
    READY.write_text(fingerprint())


def make(torch_index: str = "") -> Path:
    """Make the environment unless it is ready; return its folder. Raises ``Unavailable``."""
    with (ROOT / ".venv-classroom.lock").open("w") as lock:  # two at once would trip over each other
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready():
            install(torch_index)
    return ENVIRONMENT


def main() -> int:
    """Do what the command line says; 0 where all is well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--torch-index", default=os.environ.get("TORCH_INDEX", ""), help="see README.md")
    try:
        print(f"ready: {make(parser.parse_args().torch_index).name}")
    except Unavailable as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
