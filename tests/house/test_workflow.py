"""The workflow for forks runs what a contributor runs: the targets of the Makefile, on Linux and macOS."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePath
from typing import Any

import pytest
import yaml
from order import LONGEST, place

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]["test"]


def test_it_runs_make_test_and_no_target_that_is_not_there(job):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[-1] == "make test"
    for command in commands:
        assert re.fullmatch(r"make ([\w-]+)", command) and command.split()[1] in targets


def test_files_that_come_first_in_make_test_are_there():
    assert all((ROOT / name).exists() for name in LONGEST)
    assert place(PurePath("tests/notebook/test_browser.py")) < place(PurePath("labs/05_synchronous.ipynb"))
    assert place(PurePath("tests/virtual/test_waits.py")) == len(LONGEST)


def test_make_test_runs_whole_files_side_by_side_and_labs_with_them():
    (line,) = re.findall(r"^\t\$\(RUN\) -m pytest -n .*", (ROOT / "Makefile").read_text(), re.M)
    assert line.split()[3:] == ["-n", "$(JOBS)", "--dist", "loadfile", "--no-loadscope-reorder"]


def test_it_runs_on_linux_and_macos_with_the_oldest_python_that_the_course_allows(job):
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    oldest = pyproject["project"]["requires-python"].removeprefix(">=")
    assert job["strategy"]["matrix"] == {"os": ["ubuntu-latest", "macos-latest"], "python": [oldest]}
    assert job["timeout-minutes"] <= 90


def test_a_fork_may_name_an_index_of_small_torch_builds(job):
    steps = [step for step in job["steps"] if "run" in step]
    assert [step["run"] for step in steps] == ["make setup", "make test"], "both install torch"
    assert all("vars.TORCH_INDEX" in step["env"]["TORCH_INDEX"] for step in steps)
    assert "TORCH_INDEX ?=" in (ROOT / "Makefile").read_text()


def test_the_book_and_the_release_are_made_by_the_same_targets_and_say_one_version():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    assert commands[:2] == ["make setup", "make book"] and "DDL_LAB_BOOK=build/book" in commands[2]
    assert "wheel" in commands[3]
    assert workflow["jobs"]["pages"]["if"] == "github.ref_type == 'branch'"
    assert workflow["jobs"]["release"]["if"] == "github.ref_type == 'tag'"
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_release_takes_the_wheel_and_the_book_from_where_the_artifacts_are_laid(tmp_path):
    """Its script, run on files that lie as actions/download-artifact lays them; `gh` says what it is told."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    download, release = workflow["jobs"]["release"]["steps"]
    made = tmp_path / download["with"]["path"]
    (made / "wheel").mkdir(parents=True)
    (made / "wheel" / "ddl_lab-9.9-py3-none-any.whl").touch()
    (made / "github-pages").mkdir()  # how actions/upload-pages-artifact names it, one archive in it
    page = tmp_path / "index.html"
    page.write_text("the book")
    with tarfile.open(made / "github-pages" / "artifact.tar", "w") as archive:
        archive.add(page, "./index.html")
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text('#!/bin/sh\necho "$@"\n')
    gh.chmod(0o755)
    zip_ = gh.with_name("zip")
    zip_.write_text(f'#!/bin/sh\nexec {sys.executable} -m zipfile -c "$2" "$3"\n')
    zip_.chmod(0o755)
    environ = os.environ | {"PATH": f"{gh.parent}:{os.environ['PATH']}"}
    environ |= {"GITHUB_REF_NAME": "v9.9", "GITHUB_REPOSITORY": "owner/fork"}
    words = ["bash", "-e", "-c", release["run"]]
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    told = "release create v9.9 --repo owner/fork --generate-notes"
    assert done.stdout.split() == [*told.split(), "made/wheel/ddl_lab-9.9-py3-none-any.whl", "book.zip"]
    assert zipfile.ZipFile(tmp_path / "book.zip").read("book/index.html") == b"the book"


def test_services_that_open_the_course_elsewhere_run_commands_that_are_there():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    for command in container["postCreateCommand"].split(" && "):
        words = command.split()
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)
        else:
            assert words == [".venv/bin/ddl-lab", "--copies-only"]
    script = ROOT / "binder" / "postBuild"
    assert script.stat().st_mode & 0o111 and "ddl-lab --copies-only" in script.read_text()
    assert (ROOT / "binder" / "environment.yml").read_text() == (ROOT / "environment.yml").read_text()
