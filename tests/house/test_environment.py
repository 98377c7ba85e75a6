"""environment.yml (conda), requirements.lock (pip) and pyproject.toml must tell the same story."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tools.make_lock import ELSEWHERE, closure, wanted

ROOT = Path(__file__).parents[2]
CONDA = (ROOT / "environment.yml").read_text()
LOCK = (ROOT / "requirements.lock").read_text()
CONDA_NAMES = {"torch": "pytorch"}  # where conda-forge calls a package otherwise


def lock_pins(text: str) -> dict[str, str]:
    """Return name -> version of a lock file."""
    lines = [line.split(";")[0].strip() for line in text.splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines if line)


def conda_pins(text: str) -> dict[str, str]:
    """Return name -> version (or the whole range, or nothing) of an environment file."""
    entries = yaml.safe_load(text)["dependencies"]
    by_pip = [name for entry in entries if isinstance(entry, dict) for name in entry["pip"]]
    entries = [name for name in entries + by_pip if isinstance(name, str) and not name.startswith("-")]
    parts = [re.fullmatch(r"([\w.-]+)\s*(.*)", entry) for entry in entries]
    return {part[1]: part[2].removeprefix("==") for part in parts}


def differences(conda_text: str, lock_text: str) -> list[str]:
    """Return one line for each direct dependency that the two files pin otherwise."""
    conda, lock = conda_pins(conda_text), lock_pins(lock_text)
    lines = []
    for name in sorted(canonicalize_name(requirement.name) for requirement in wanted()):
        theirs = conda.pop(CONDA_NAMES.get(name, name), "missing")
        ours = lock.get(name, "missing")
        if theirs != ours:
            lines.append(f"{name}: environment.yml has {theirs}, requirements.lock has {ours}")
    extra = sorted(set(conda) - {"python", "pip"})
    return lines + [f"{name}: in environment.yml, not asked for in pyproject.toml" for name in extra]


def test_conda_and_pip_install_the_same_versions():
    assert differences(CONDA, LOCK) == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("numpy==2.4.6", "numpy==1.0", "numpy: environment.yml has 1.0, requirements.lock has"),
        ("pytorch==", "pytorch>=", "torch: environment.yml has >=2.13.0, requirements.lock has"),
        ("  - pandas==3.1.1\n", "", "pandas: environment.yml has missing, requirements.lock has"),
        ("  - psutil", "  - scipy\n  - psutil", "scipy: in environment.yml, not asked for"),
    ],
)
def test_a_differing_pin_is_named(old, new, line):
    changed = CONDA.replace(old, new)
    assert changed != CONDA
    (found,) = differences(changed, LOCK)
    assert found.startswith(line)


def test_both_ask_for_the_same_python():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert conda_pins(CONDA)["python"].startswith(project["requires-python"])


def test_the_lock_pins_exactly_what_pyproject_leads_to():
    assert sorted(lock_pins(LOCK)) == sorted({**closure(wanted()), **ELSEWHERE})


def test_the_locked_versions_are_within_what_pyproject_allows():
    pins = lock_pins(LOCK)
    for requirement in wanted():
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_every_locked_package_runs_on_the_oldest_python_that_the_course_allows():
    too_new = {}
    for name in closure(wanted()):
        allowed = metadata.metadata(name).get("Requires-Python") or ""
        if not SpecifierSet(allowed).contains("3.11.0"):
            too_new[name] = allowed
    assert too_new == {}


def test_every_line_of_the_lock_is_an_exact_pin_that_any_machine_can_install():
    for line in LOCK.splitlines():
        if not line.startswith("#"):
            (pin,) = Requirement(line).specifier
            assert pin.operator == "=="
            assert "+" not in pin.version  # as in 2.13.0+cpu, a build of one platform


def test_the_lock_says_nothing_of_where_packages_come_from():
    assert not re.search(r"https?:|--(extra-)?index-url|@ file", LOCK + CONDA)


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_setup_refuses_an_older_python_in_one_line_and_makes_nothing(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python3.9"  # this Python, which says that it is another
    told = "import sys; sys.version_info = (3, 9, 2); exec(sys.argv[1])"
    old.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{told}' \"$2\"\n")
    old.chmod(0o755)
    made = subprocess.run(
        ["make", "setup", "PYTHON=./python3.9"], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    line = "ddl_lab needs Python 3.11 or newer; ./python3.9 is 3.9: try make setup PYTHON=python3.12"
    assert made.returncode and made.stderr.startswith(line + "\n"), made.stderr
    assert not (tmp_path / ".venv").exists()
