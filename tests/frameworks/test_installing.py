"""Environments: refused in words where they can't be, ready only when all is there, taken away again."""

import dataclasses
import functools
import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
import venv
from pathlib import Path

import pytest
from beside import hidden
from faulty import alive, descendants
from waiting import eventually, wait_until

import ddl_lab as lab
from ddl_lab.frameworks import environments, installing
from ddl_lab.frameworks.environments import ENVIRONMENTS, Environment, this_python, this_system
from ddl_lab.frameworks.installing import CantInstall
from ddl_lab.frameworks.table import FRAMEWORKS

HEAD = f"# python: {this_python()}\n# system: {this_system()}\n# megabytes: 50\n# seconds: 130\n"


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An environment of no packages, whose lock and folder are the test's."""
    monkeypatch.setenv("DDL_LAB_FRAMEWORKS", str(tmp_path / "shared"))
    monkeypatch.setattr(environments, "LOCKS", tmp_path)
    (tmp_path / "empty.lock").write_text(HEAD)
    return Environment(name="empty", asked=())


def yes(question):
    return True


def never(question):
    raise AssertionError("asked in spite of all")


def test_it_tells_size_place_and_minutes_and_does_nothing_without_a_yes(empty):
    asked = []
    assert not installing.install(empty, agreed=lambda question: asked.append(question))
    assert asked == [f"empty: 50 MB into {empty.folder}, about 2 minutes. Install it?"]
    assert not empty.folder.exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (f"python: {this_python()}", "python: 3.4", r"is for .* and Python 3\.4; this is"),
        (f"system: {this_system()}", "system: Plan9 mips", r"is for Plan9 mips and Python"),
        (
            "megabytes: 50",
            "megabytes: 999999999",
            r"takes [\d,]+ MB while it is installed, and [\d,]+ MB are free",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_words_before_anything_is_asked(empty, old, new, words):
    empty.lock.write_text(HEAD.replace(old, new))
    with pytest.raises(CantInstall, match=words):
        installing.install(empty, agreed=never)


def test_a_missing_tool_is_named(empty):
    compiled = dataclasses.replace(empty, tools=("sh", "no-such-compiler"))
    with pytest.raises(CantInstall, match="empty needs no-such-compiler, which isn't here"):
        installing.install(compiled, agreed=never)


def test_a_shared_folder_that_one_only_reads_is_told(empty, monkeypatch):
    monkeypatch.setattr(installing.os, "access", lambda *_: False)
    with pytest.raises(CantInstall, match="a shared folder that you only read: ask who looks after it"):
        installing.install(empty, agreed=never)


def test_one_cut_short_is_not_ready_and_the_next_try_goes_on(empty, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    builder = functools.partial(
        venv.EnvBuilder, symlinks=True
    )  # pip would take ten seconds, and does nothing
    monkeypatch.setattr(installing.venv, "EnvBuilder", lambda clear, **_: builder(clear=clear))
    monkeypatch.setattr(installing, "_works", lambda python: python.exists())
    monkeypatch.setattr(installing, "_pip", lambda *_: None)
    with monkeypatch.context() as patched:
        patched.setattr(installing, "_pip", stop)
        with pytest.raises(KeyboardInterrupt):
            installing.install(empty, agreed=yes)
    assert empty.python.exists() and not empty.is_ready()
    made = empty.python.lstat().st_mtime_ns
    assert installing.install(empty, agreed=yes) and empty.is_ready()
    assert empty.python.lstat().st_mtime_ns == made, "it was made anew"
    assert installing.install(empty, agreed=never), "it is ready: nobody is asked"
    empty.lock.write_text(HEAD + "# another lock\n")
    assert not empty.is_ready()
    installing.remove(empty)
    assert not empty.folder.exists()


def test_the_courses_environment_is_the_same_by_a_link_to_it_and_another_is_another(
    empty, tmp_path, monkeypatch
):
    mine, packages = empty.fingerprint(), environments.courses_packages()
    (tmp_path / "link").symlink_to(sys.prefix)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "link"))
    paths = {"base": str(tmp_path / "link"), "platbase": str(tmp_path / "link")}
    by_link = {name: sysconfig.get_path(name, vars=paths) for name in ("purelib", "platlib")}
    monkeypatch.setattr(environments.sysconfig, "get_paths", lambda: by_link)
    assert empty.fingerprint() == mine and environments.courses_packages() == packages
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert empty.fingerprint() != mine


def test_what_is_made_others_may_read_whatever_the_instructors_habits(empty, monkeypatch):
    builder = functools.partial(venv.EnvBuilder, symlinks=True)
    monkeypatch.setattr(installing.venv, "EnvBuilder", lambda **_: builder())
    monkeypatch.setattr(installing, "_pip", lambda command, *_: Path(command[0]).with_name("made").touch())
    before = os.umask(0o077)
    try:
        assert installing.install(empty, agreed=yes)
        assert os.umask(0o077) == 0o077, "the habit is theirs"
    finally:
        os.umask(before)
    assert hidden(empty.folder.parent) == [] and (empty.folder / "bin" / "made").exists()


def test_java_from_a_package_is_called_without_the_module_that_it_lacks(empty, monkeypatch):
    java = dataclasses.replace(empty, java="it's/jre")
    program = environments.packages_of(java) / "it's/jre/bin/java"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nprintf '<%s>' \"$@\"\n")
    program.chmod(0o755)
    installing._give_java(java)
    asked = ["-cp", "a b", "--add-modules=jdk.incubator.vector", "--add-modules=java.se", "$HOME", ""]
    told = subprocess.run([java.java_home / "bin/java", *asked], capture_output=True, text=True, check=True)
    assert told.stdout == "<-cp><a b><--add-modules=java.se><$HOME><>"


def test_sparks_java_starts_with_what_spark_asks_for_only_because_it_is_left_out():
    spark = ENVIRONMENTS["spark"]
    if not spark.is_ready():
        pytest.skip(f"Spark isn't installed in {environments.place()}")
    programs = spark.java_home / "bin/java", environments.packages_of(spark) / spark.java / "bin/java"
    asked = ["--add-modules=jdk.incubator.vector", "-version"]
    called, package = [subprocess.run([java, *asked], capture_output=True, text=True) for java in programs]
    assert called.returncode == 0 and 'version "21' in called.stderr
    assert "Module jdk.incubator.vector not found" in package.stdout + package.stderr


def test_what_pip_says_is_told_where_it_fails(empty, monkeypatch):
    called, pip = [], installing._pip
    monkeypatch.setattr(installing, "_works", lambda python: True)
    alone = dataclasses.replace(empty, beside=False)
    fails = ["sh", "-c", "echo there is no such package; exit 1"]
    monkeypatch.setattr(
        installing, "_pip", lambda command, name, pins: called.append(command) or pip(fails, name, pins)
    )
    with pytest.raises(CantInstall, match=r"pip couldn't install empty:\n  there is no such package"):
        installing.install(alone, torch_index="an-index", agreed=yes)
    assert called[0][-4:] == ["--extra-index-url", "an-index", "-r", str(empty.lock)]
    assert not empty.is_ready()


def test_an_interrupt_ends_pip_and_what_it_has_started():
    before, there = descendants(os.getpid()), []

    def press():
        eventually(lambda: len(set(descendants(os.getpid())) - set(before)) == 3)
        there.extend(set(descendants(os.getpid())) - set(before))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        installing._pip(["sh", "-c", "echo Collecting it; sleep 600 & wait"], "it", 3)
    finger.join()
    assert len(there) == 3, "it, the reaper above it, and what it has started"
    wait_until(lambda: not alive(there), "pip goes on")


def test_pip_ends_with_whoever_has_called_it_even_if_that_is_killed(tmp_path):
    command = ["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/pid; wait"]
    code = f"from ddl_lab.frameworks import installing; installing._pip({command!r}, 'it', 3)"
    with subprocess.Popen([sys.executable, "-c", code]) as caller:
        wait_until((tmp_path / "pid").exists, "it never began")
        caller.kill()
    wait_until(lambda: not alive([int((tmp_path / "pid").read_text())]), "what pip has started goes on")


def test_where_nobody_sits_nothing_is_fetched(empty, monkeypatch, capsys):
    monkeypatch.setitem(ENVIRONMENTS, "mpi", empty)
    lab.frameworks.mpi.install()
    assert "Nobody is here to say yes" in capsys.readouterr().out
    assert not empty.folder.exists()


def test_a_framework_that_is_not_there_says_how_to_get_it(empty, monkeypatch):
    monkeypatch.setitem(ENVIRONMENTS, "mpi", empty)
    with pytest.raises(
        lab.LabError, match=r"isn't installed: lab\.frameworks\.mpi\.install\(\) does it, about 50 MB"
    ):
        lab.frameworks.mpi.run(2)
    assert "not installed" in repr(lab.frameworks.mpi)


def test_the_table_has_a_row_a_framework_and_unknown_names_are_answered_with_those_there_are():
    rows = repr(lab.frameworks).splitlines()[1:]
    assert sorted(row.split()[0] for row in rows) == dir(lab.frameworks)
    assert "<table>" in lab.frameworks._repr_html_()
    with pytest.raises(AttributeError, match=r"has no 'pytorch'; it has ddp, torchrun"):
        _ = lab.frameworks.pytorch


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_a_lock_pins_everything_to_the_digit_and_names_no_index(name):
    environment = ENVIRONMENTS[name]
    if not environment.lock.is_file():
        pytest.skip(f"{name} has no lock yet")
    for what in ("python", "system", "megabytes", "seconds"):
        assert environment.told(what)
    for line in environment.lock.read_text().splitlines():
        assert line.startswith("#") or (len(line.split("==")) == 2 and "+" not in line), line
        assert "://" not in line and "@" not in line
    pins = environment.lock.read_text()
    for asked in environment.asked:
        assert asked.split("[")[0].split("=")[0].split("<")[0].lower() + "==" in pins.lower()


def test_the_page_of_frameworks_tells_what_each_takes():
    text = (Path(__file__).parents[2] / "docs" / "frameworks.md").read_text()
    told = dict(re.findall(r"^\| (`\w+`[^|]*) \| ([\d,]+) \|", text, re.M))
    for environment in ENVIRONMENTS.values():
        names = ", ".join(f"`{f.name}`" for f in FRAMEWORKS.values() if f.environment == environment.name)
        if environment.lock.is_file():
            assert told[names] == f"{int(environment.told('megabytes')):,}"


@pytest.mark.parametrize(
    ("name", "code", "words"), [("--help", 0, "mindspore"), ("jaxx", 2, "'jaxx' (choose from")]
)
def test_on_the_command_line_it_says_which_names_there_are(name, code, words, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["installing", name])
    with pytest.raises(SystemExit) as ended:
        installing.main()
    said = capsys.readouterr()
    assert ended.value.code == code and words in said.out + said.err
