"""The learner's file: private, whole at every moment, kept over restarts, never in a lab's way."""

import errno
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ddl_lab.learner import file as learner
from ddl_lab.learner.file import LearnerFile


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "ddl_lab"


def test_notes_are_there_in_the_next_kernel(folder):
    LearnerFile(folder).note("predictions", "03.wait", value=0.3, unit="%")
    LearnerFile(folder).note("predictions", "03.wait", measured=0.6)
    LearnerFile(folder).note("exercises", "03.weights", tried=True)
    notes = LearnerFile(folder).read()
    assert notes["predictions"] == {"03.wait": {"value": 0.3, "unit": "%", "measured": 0.6}}
    assert notes["exercises"] == {"03.weights": {"tried": True}}


def test_what_another_kernel_writes_is_read_at_once(folder):
    mine, theirs = LearnerFile(folder), LearnerFile(folder)
    mine.note("exercises", "00.a", done=True)
    theirs.note("exercises", "00.b", done=True)
    assert mine.read() == theirs.read()
    assert sorted(mine.read()["exercises"]) == ["00.a", "00.b"]


def old_file(folder, **sections):
    folder.mkdir(parents=True)
    text = json.dumps({"exercises": {}, "predictions": {}} | sections)
    (folder / "learner.json").write_text(text)
    return LearnerFile(folder)


def test_what_lab_09_had_until_lab_10_came_is_lab_10_s(folder):
    half = {"value": 30.0, "unit": "%", "measured": 33.3}
    file = old_file(
        folder, exercises={"09.place": {"tried": True, "done": True}, "09.units": {"tried": True}},
        predictions={"09.half": half},
    )  # fmt: skip
    assert file.read()["exercises"] == {
        "09.units": {"tried": True},
        "10.place": {"tried": True, "done": True},
    }
    assert file.known("predictions", "10.half") == file.known("predictions", "09.half") == half
    assert file.known("predictions", "10.tensor") == {}
    file.note("predictions", "10.half", dot=1.1)
    written = json.loads((folder / "learner.json").read_text())["predictions"]
    assert written == {"10.half": half | {"dot": 1.1}}


def test_of_an_old_and_a_new_key_the_new_one_counts_and_an_old_copy_writes_under_it(folder):
    file = old_file(
        folder, predictions={"09.tensor": {"value": 4.0, "unit": "GPUs"}, "10.tensor": {"value": 8.0}}
    )
    assert file.known("predictions", "10.tensor") == {"value": 8.0, "unit": "GPUs"}
    file.note("exercises", "09.place", done=True)
    assert file.read()["exercises"] == {"10.place": {"done": True}}


def test_a_moved_exercise_is_there_under_its_new_key():
    from ddl_lab.exercises.standing import all_exercises

    keys = {exercise.key for exercise in all_exercises()}
    assert all(old not in keys for old in learner.MOVED) and "10.place" in keys
    from ddl_lab.exercises import lab_09, lab_10

    assert lab_09.place is lab_10.place  # an old copy of lab 09 calls it there


def test_only_its_owner_can_read_it(folder):
    LearnerFile(folder).note("exercises", "00.a", done=True)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_nothing_is_written_in_memory_or_by_reading(folder, tmp_path):
    nowhere = LearnerFile(None)
    nowhere.note("exercises", "00.a", done=True)
    assert nowhere.read()["exercises"] == {"00.a": {"done": True}}
    assert LearnerFile(folder).read() == {section: {} for section in learner.SECTIONS}
    assert list(tmp_path.iterdir()) == []


DAMAGED = {
    "cut off": b'{"exercises": {"00.a": {"do',
    "empty": b"",
    "no notes": b"[1, 2]",
    "flat": b'{"exercises": {"00.a": true}}',
    "not text": b"\xff\xfe\x00",
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_set_aside_and_said(folder, capsys, damage):
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / "learner.json").write_bytes(damage)
        found = LearnerFile(folder)
        assert found.read() == {section: {} for section in learner.SECTIONS}
        aside = folder / f"learner.damaged-{number}.json"
        assert aside.read_bytes() == damage
        assert capsys.readouterr().out.count(f"was damaged: it is kept as {aside}") == 1
    found.note("exercises", "00.a", done=True)
    assert LearnerFile(folder).read()["exercises"] == {"00.a": {"done": True}}


def test_what_a_later_version_adds_is_kept(folder):
    folder.mkdir(parents=True)
    (folder / "learner.json").write_text('{"badges": {"first": {"on": "Monday"}}}')
    LearnerFile(folder).note("exercises", "00.a", done=True)
    assert json.loads((folder / "learner.json").read_text())["badges"] == {"first": {"on": "Monday"}}


def fails(code):
    def call(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return call


@pytest.mark.parametrize(
    ("what", "code"), [("fsync", errno.ENOSPC), ("replace", errno.EROFS), ("open", errno.EACCES)]
)
def test_a_full_or_read_only_disk_is_said_once_and_the_rest_goes_on(folder, capsys, monkeypatch, what, code):
    found = LearnerFile(folder)
    found.note("exercises", "00.a", done=True)
    before = (folder / "learner.json").read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(f"ddl_lab.learner.file.os.{what}", fails(code))
        found.note("exercises", "00.b", done=True)
        found.note("exercises", "00.c", done=True)
    said = capsys.readouterr().out
    assert said.count("can't be kept") == 1 and os.strerror(code) in said
    assert sorted(found.read()["exercises"]) == ["00.a", "00.b", "00.c"]
    assert (folder / "learner.json").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "learner.json"]
    found.note("exercises", "00.d", done=True)  # the disk has room again: nothing was lost
    assert sorted(LearnerFile(folder).read()["exercises"]) == ["00.a", "00.b", "00.c", "00.d"]


def test_a_file_that_cannot_be_read_is_not_replaced(folder, monkeypatch, capsys):
    LearnerFile(folder).note("exercises", "00.a", done=True)
    found = LearnerFile(folder)
    with monkeypatch.context() as broken:
        broken.setattr("pathlib.Path.read_text", fails(errno.EIO))
        assert found.read()["exercises"] == {}
        found.note("exercises", "00.b", done=True)
    assert "can't be kept" in capsys.readouterr().out
    assert list(LearnerFile(folder).read()["exercises"]) == ["00.a"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    found = LearnerFile(tmp_path / "file" / "ddl_lab")
    found.note("exercises", "00.a", done=True)
    assert found.read()["exercises"] == {"00.a": {"done": True}}
    assert "can't be kept" in capsys.readouterr().out


WRITER = """
import sys
from pathlib import Path
from ddl_lab.learner.file import LearnerFile
found = LearnerFile(Path(sys.argv[1]))
for k in range(40):
    found.note("exercises", f"{sys.argv[2]}.{k}", done=True)
"""


def test_two_kernels_at_once_lose_nothing_of_each_others(folder):
    commands = [[sys.executable, "-c", WRITER, str(folder), name] for name in ("01", "02")]
    writers = [subprocess.Popen(command) for command in commands]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert len(LearnerFile(folder).read()["exercises"]) == 80
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "learner.json"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"DDL_LAB_HOME": "/a/b"}, "/a/b"),
        ({"XDG_DATA_HOME": "/data"}, "/data/ddl_lab"),
        ({"XDG_DATA_HOME": "relative"}, "/home/me/.local/share/ddl_lab"),
        ({}, "/home/me/.local/share/ddl_lab"),
    ],
)
def test_where_it_lies(monkeypatch, environment, expected):
    for name in ("DDL_LAB_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(learner.home()) == expected


def message(kind, **content):
    return {"header": {"msg_type": kind}, "content": content}


@pytest.mark.parametrize(
    ("parent", "told", "expected"),
    [
        (message("execute_request", allow_stdin=True), "", True),
        (message("execute_request", allow_stdin=False), "", False),
        (message("execute_request"), "", False),
        (message("comm_msg"), "", True),
        ({}, "", True),
        (message("execute_request", allow_stdin=True), "1", False),
        (message("execute_request", allow_stdin=True), "0", True),
    ],
)
def test_somebody_is_there_where_a_page_takes_input(monkeypatch, parent, told, expected):
    shell = SimpleNamespace(get_parent=lambda: parent)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setenv("DDL_LAB_UNATTENDED", told)
    assert learner.attended() is expected


def test_nobody_is_there_in_a_script(monkeypatch):
    monkeypatch.setattr(learner, "_files", {})
    assert not learner.attended()
    assert learner.current().folder is None
    assert learner.current() is learner.current()
