"""What the classroom's environment is made from, who may read it, and what a learner is counted as."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import classroom
import psutil
import pytest
from classroom import environment
from packaging.requirements import Requirement

from tests.house.test_environment import lock_pins
from tools.make_classroom import (
    LOCKS,
    PROXY,
    READY,
    Failed,
    Unavailable,
    call,
    install,
    open_to_all,
    shared_python,
)
from tools.make_lock import wanted
from tools.measure_learner import Cost, report, written_bytes

COMMON, ON_TOP = (lock_pins(path.read_text()) for path in LOCKS)


def test_the_classrooms_lock_adds_to_the_courses_and_says_nothing_twice():
    assert not set(COMMON) & set(ON_TOP)
    pins = COMMON | ON_TOP
    assert all(asked.specifier.contains(pins[asked.name]) for asked in wanted("classroom"))


def test_neither_lock_says_where_packages_come_from_and_every_line_is_exact():
    for line in LOCKS[1].read_text().splitlines():
        assert line.startswith("#") or str(Requirement(line).specifier).startswith("==")
    packages = json.loads((PROXY / "package-lock.json").read_text())["packages"]
    del packages[""]
    assert packages and not any("resolved" in package for package in packages.values())
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())


def test_the_classrooms_lock_is_what_its_environment_leads_to():
    code = "from tools import make_lock; print(make_lock.classroom_text(), end='')"
    python = environment() / "bin/python"
    told = subprocess.run(
        [python, "-c", code], cwd=LOCKS[0].parent, capture_output=True, text=True, check=True
    )
    assert told.stdout == LOCKS[1].read_text()


def test_the_links_of_the_instructors_page_exist():
    page = PROXY.parent / "classroom.md"
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert len(targets) >= 2 and all((page.parent / target).exists() for target in targets)


def test_what_lies_in_a_closed_folder_is_not_open_to_all(tmp_path):
    os.chmod(tmp_path, 0o700)
    inside = tmp_path / "program"
    inside.write_text("")
    inside.chmod(0o755)
    assert not open_to_all(inside)
    assert open_to_all(Path("/usr/bin"))


def test_a_python_for_all_is_new_enough_and_open():
    try:
        python = shared_python()
    except Unavailable as missing:
        pytest.skip(str(missing))
    code = "import sys; print(sys.version_info >= (3, 11), sys.base_prefix)"
    new, prefix = subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.split()
    assert new == "True" and os.stat(prefix).st_mode & 0o005 == 0o005


def test_without_npm_it_says_how_to_get_it_and_leaves_what_stands(monkeypatch):
    before = READY.exists()
    monkeypatch.setattr("tools.make_classroom.shutil.which", lambda name: None)
    monkeypatch.setattr("tools.make_classroom.open_to_all", lambda path: True)
    with pytest.raises(Unavailable, match="apt install nodejs npm"):
        install("")
    assert READY.exists() == before


def test_a_step_that_fails_makes_the_environment_unavailable():
    with pytest.raises(Failed, match="false failed"):
        call("false")


@pytest.mark.parametrize(
    ("outcome", "pip", "end"),
    [
        (Failed("pip failed"), True, pytest.fail.Exception),
        (Failed("pip failed"), False, pytest.skip.Exception),
        (Unavailable("npm isn't installed"), True, pytest.skip.Exception),
    ],
)
def test_a_set_up_that_fails_where_pip_works_fails_the_tests_and_does_not_skip_them(
    monkeypatch, outcome, pip, end
):
    monkeypatch.setattr(classroom, "made", lambda: outcome)
    monkeypatch.setattr(classroom, "pip_works", lambda: pip)
    with pytest.raises(end, match=str(outcome)):
        environment()


def test_pip_that_reaches_no_index_does_not_work(monkeypatch):
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    assert not classroom.pip_works.__wrapped__()


def test_the_formula_is_files_once_and_the_rest_for_each_learner():
    text = report([Cost(70e6, 2, 3), Cost(300e6, 3, 4), Cost(130e6, 1, 1)], 100e6, nodes=4, class_size=30)
    assert "100 MB of files, once, + 500 MB a learner; 30 learners: 15.1 GB" in text
    assert "6.0 s a learner / number of cores; 30 learners on 8 cores: 22 s" in text


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="only Linux tells what is shared")
def test_pages_that_a_process_shares_with_its_copy_are_counted_once():
    code = "import os, sys; held = b'x' * 64_000_000; os.fork(); os.write(1, b'here\\n'); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as parent:
        assert [parent.stdout.readline() for _ in range(2)] == ["here\n"] * 2
        both = [psutil.Process(parent.pid), *psutil.Process(parent.pid).children()]
        together = sum(written_bytes(process) for process in both)
        parent.stdin.close()
    assert len(both) == 2 and 64e6 < together < 96e6
