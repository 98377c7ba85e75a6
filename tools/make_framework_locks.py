"""Write the locks of lab.frameworks' environments, each from one that is made new for it.

    .venv/bin/python -m tools.make_framework_locks accelerate jax     these; all without a name

An environment is made in DDL_LAB_FRAMEWORKS (or the learner's own folder) from what
ddl_lab/frameworks/environments.py asks for, and stays there, ready to run. Its lock pins all that it uses,
and tells the Python, the system, and what making it took in megabytes and seconds.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ddl_lab.frameworks.environments import (
    ENVIRONMENTS,
    Environment,
    courses_packages,
    megabytes,
    packages_of,
    this_python,
    this_system,
)
from ddl_lab.frameworks.installing import make

HEAD = """\
# Exact pins for one environment of lab.frameworks.
# Written by tools/make_framework_locks.py from one that was made for it: renew it there, don't edit it here.
"""


def closure(asked: Iterable[str], folders: list[str]) -> dict[str, str]:
    """Return name -> version of what ``asked`` leads to among the packages in ``folders``, the first first.

    Raises ``KeyError``, which names the package, where one is missing.
    """
    there: dict[str, metadata.Distribution] = {}
    for found in metadata.distributions(path=folders):
        there.setdefault(canonicalize_name(found.metadata["Name"]), found)
    pins: dict[str, str] = {}
    waiting = [(Requirement(text), "") for text in asked]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        package = there[name]
        pins[name] = package.version.split("+")[0]  # 2.13.0+cpu is this machine's build
        for chosen in {"", *requirement.extras} - {done for of, done in seen if of == name}:
            seen.add((name, chosen))
            waiting += [(need, chosen) for need in needs(name, package)]
    return pins


def needs(name: str, package: metadata.Distribution) -> list[Requirement]:
    """What a package asks for; less torch's exact pins, which name the libraries of one kind of GPU."""
    asked = [Requirement(text) for text in package.requires or []]
    return [need for need in asked if name != "torch" or not str(need.specifier).startswith("==")]


def write(environment: Environment) -> None:
    """Make one environment anew and write its lock."""
    shutil.rmtree(environment.folder, ignore_errors=True)
    courses = courses_packages() if environment.beside else []
    start = time.monotonic()
    kept = [f"torch=={metadata.version('torch').split('+')[0]}"] if environment.beside else []
    make(environment, [*environment.asked, *(kept if "torch" in environment.asked else [])])
    seconds = time.monotonic() - start
    pins = closure(environment.asked, [str(packages_of(environment)), *courses])
    about = {"python": this_python(), "system": this_system()}
    about |= {"megabytes": str(megabytes(environment.folder)), "seconds": str(round(seconds))}
    told = "".join(f"# {what}: {text}\n" for what, text in about.items())
    environment.lock.write_text(HEAD + told + "".join(f"{name}=={pins[name]}\n" for name in sorted(pins)))
    environment.stamp.write_text(environment.fingerprint())
    print(
        f"{environment.lock.name}: {len(pins)} packages, {about['megabytes']} MB, {seconds:.0f} s", flush=True
    )


def main(names: list[str]) -> None:
    """Write the locks that are named, or all; one that fails leaves the others."""
    for environment in [ENVIRONMENTS[name] for name in names or ENVIRONMENTS]:
        write(environment)


if __name__ == "__main__":
    main(sys.argv[1:])
