"""Write requirements.lock: every package that pyproject.toml asks for, directly or not, pinned.

    .venv/bin/python tools/make_lock.py
    .venv-classroom/bin/python tools/make_lock.py classroom     requirements-classroom.lock, what a class
                                                                needs on top (docs/classroom.md)

The versions are those of the environment that runs this. To renew them: install newer ones there,
run this, then `make test`.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
CLASSROOM = ROOT / "requirements-classroom.lock"
HEAD = """\
# Exact pins for `pip install -r requirements.lock`, as `make setup` does it.
# Written by tools/make_lock.py from a tested environment: renew it there, don't edit it here.
"""
ON_TOP = """\
# Exact pins of what `make classroom-env` installs on top of requirements.lock.
# Written by tools/make_lock.py from a tested environment: renew it there, don't edit it here.
"""
# asked for by one system only, so not installed on every machine that writes the lock
ELSEWHERE = {"appnope": '0.1.4; sys_platform == "darwin"'}


def wanted(extra: str = "dev") -> list[Requirement]:
    """Return what pyproject.toml asks for, an extra included: the developers' unless told."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"][extra]]
    return [Requirement(text) for text in asked]


def closure(requirements: Iterable[Requirement]) -> dict[str, str]:
    """Return name -> version of the installed packages that ``requirements`` lead to.

    Raises PackageNotFoundError, which names the package, when one isn't installed.
    """
    found: dict[str, str] = {}
    waiting = [(requirement, "") for requirement in requirements]
    seen = set()
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        found[name] = metadata.version(name).split("+")[0]  # 2.13.0+cpu is this machine's build
        for chosen in ["", *requirement.extras]:
            if (name, chosen) not in seen:
                seen.add((name, chosen))
                waiting += [(need, chosen) for need in needs(name)]
    return found


def needs(name: str) -> list[Requirement]:
    """Return what the installed package ``name`` asks for.

    Less torch's own exact pins: they name the libraries of one kind of GPU, and only some builds
    of torch have them.
    """
    asked = [Requirement(text) for text in metadata.requires(name) or []]
    if name == "torch":
        return [need for need in asked if not str(need.specifier).startswith("==")]
    return asked


def lock_text() -> str:
    """Return the lock file's content for the running environment."""
    pins = {**closure(wanted()), **ELSEWHERE}
    return HEAD + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins))


def classroom_text() -> str:
    """Return the classroom's lock file for the running environment: only what is not in the other."""
    common = {Requirement(line).name for line in LOCK.read_text().splitlines() if line[:1] != "#"}
    pins = closure(wanted("classroom"))
    return ON_TOP + "".join(f"{name}=={pins[name]}\n" for name in sorted(set(pins) - common))


if __name__ == "__main__":
    file, text = (CLASSROOM, classroom_text()) if "classroom" in sys.argv[1:] else (LOCK, lock_text())
    file.write_text(text)
    print(f"{file.name}: {len(text.splitlines()) - 2} packages", file=sys.stderr)
