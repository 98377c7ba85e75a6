"""Horovod is compiled in its own environment: what is changed in its source, what is told, what stays."""

import dataclasses
import sys
import tarfile
from pathlib import Path

import pytest

from ddl_lab.frameworks import compiling, environments, installing
from ddl_lab.frameworks.environments import Environment
from ddl_lab.frameworks.installing import CantInstall

VERSION = "0.28.1"


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What is run, one after another: pip and the build only do as if."""
    commands = []

    def run(command, **options):
        assert options["check"]
        commands.append((command, options))
        if "download" in command:
            source = tmp_path / "source" / f"horovod-{VERSION}"
            for name, (old, _) in compiling.CHANGES.items():
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_text(f"before {old} after\n")
            with tarfile.open(tmp_path / "build" / f"{source.name}.tar.gz", "w:gz") as packed:
                packed.add(source, source.name)
        if "bdist_wheel" in command:
            (tmp_path / "build" / "horovod-it.whl").touch()

    monkeypatch.setattr(compiling.subprocess, "run", run)
    return commands


def test_two_lines_of_the_source_are_changed_and_the_wheel_is_installed_after_a_try_cut_short_too(
    asked, tmp_path
):
    for _ in range(2):
        asked.clear()
        compiling.main(VERSION, tmp_path / "build")
        for name, (old, new) in compiling.CHANGES.items():
            assert (tmp_path / "build" / f"horovod-{VERSION}" / name).read_text() == f"before {new} after\n"
            assert old != new
    (_, build, install) = asked
    assert build[1]["env"]["HOROVOD_WITH_GLOO"] == build[1]["env"]["HOROVOD_WITHOUT_MPI"] == "1"
    assert install[0][-2:] == ["--no-deps", str(tmp_path / "build" / "horovod-it.whl")]


def test_a_source_that_reads_otherwise_is_named(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "CHANGES", {"CMakeLists.txt": ("old", "new")})
    (tmp_path / "source" / f"horovod-{VERSION}").mkdir(parents=True)
    write = Path.write_text
    monkeypatch.setattr(
        compiling.Path, "write_text", lambda self, text: write(self, text.replace("old", "other"))
    )
    with pytest.raises(SystemExit, match=rf"CMakeLists.txt of Horovod {VERSION} has no 'old' to change"):
        compiling.main(VERSION, tmp_path / "build")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """One that has a Python, and compiles by what the test writes into compiling.py."""
    monkeypatch.setenv("DDL_LAB_FRAMEWORKS", str(tmp_path))
    monkeypatch.setattr(environments, "LOCKS", tmp_path)
    monkeypatch.setattr(installing, "__file__", str(tmp_path / "installing.py"))
    made = dataclasses.replace(Environment(name="it", asked=()), compiled=VERSION)
    made.python.parent.mkdir(parents=True)
    made.python.symlink_to(sys.executable)
    return made


def test_what_was_built_on_the_way_does_not_stay_and_the_compilers_words_do(environment, tmp_path):
    code = "import sys, pathlib\npathlib.Path(sys.argv[2]).mkdir()\nprint('compiled', sys.argv[1])\n"
    (tmp_path / "compiling.py").write_text(code)
    for _ in range(2):
        installing._compile(environment)
        assert (environment.folder / "compiled.log").read_text() == f"compiled {VERSION}\n"
    assert not (environment.folder / "build").exists()


def test_a_compiler_that_fails_is_quoted(environment, tmp_path):
    (tmp_path / "compiling.py").write_text("print('no such header'); raise SystemExit(2)")
    with pytest.raises(CantInstall, match=r"it couldn't be compiled:\nno such header"):
        installing._compile(environment)
