"""A learner's copies of the labs: what is theirs stays, what is the course's is brought along."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ddl_lab as lab
from ddl_lab.errors import LabError
from ddl_lab.learner import copies

ROOT = Path(__file__).parents[2]


def printed(text):
    return {"output_type": "stream", "name": "stdout", "text": [text]}


def notebook(*sources):
    cells = [
        {"cell_type": "code", "id": f"c{k}", "metadata": {}, "source": [source],
         "execution_count": k, "outputs": [printed("measured 42\n")]}
        for k, source in enumerate(sources)
    ]  # fmt: skip
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def write(path, *sources):
    path.write_text(json.dumps(notebook(*sources)))


def sources(path):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]


@pytest.fixture
def labs(tmp_path):
    """The course's labs, as an update may change them."""
    folder = tmp_path / "course/labs"
    folder.mkdir(parents=True)
    write(folder / "00_start.ipynb", "guess = 1", "guess + 1")
    write(folder / "03_step.ipynb", "step = 1")
    return folder


@pytest.fixture
def mine(tmp_path, labs):
    """The learner's folder, just made."""
    folder = tmp_path / "mine"
    assert copies.hand_out(labs, folder) == ["00_start.ipynb: copied", "03_step.ipynb: copied"]
    return folder


def run_it(path):
    """As a page saves a lab that was run to its end and not edited: outputs, and an empty cell more."""
    text = json.loads(path.read_text())
    for k, cell in enumerate(text["cells"]):
        cell["execution_count"], cell["source"] = k + 7, "".join(cell["source"])
        cell["outputs"] = [printed("measured 41\n")]
    text["cells"].append(dict(text["cells"][0], id="new", source="", outputs=[], execution_count=None))
    text["metadata"] = {"widgets": {}}
    path.write_text(json.dumps(text, indent=1))


def test_copies_have_the_sources_and_no_outputs(labs, mine):
    assert "measured" in (labs / "00_start.ipynb").read_text()
    for name in ("00_start.ipynb", "03_step.ipynb"):
        assert "measured" not in (mine / name).read_text()
        assert sources(mine / name) == sources(labs / name)
        assert all(cell["execution_count"] is None for cell in json.loads((mine / name).read_text())["cells"])


def test_a_second_time_nothing_is_said_or_written(labs, mine):
    run_it(mine / "00_start.ipynb")
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    assert copies.hand_out(labs, mine) == []
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before


def test_an_update_brings_new_labs_and_what_was_only_run(labs, mine):
    run_it(mine / "00_start.ipynb")
    write(labs / "00_start.ipynb", "guess = 2")
    write(labs / "04_new.ipynb", "new = 1")
    assert copies.hand_out(labs, mine) == ["00_start.ipynb: updated", "04_new.ipynb: copied"]
    assert sources(mine / "00_start.ipynb") == ["guess = 2"]
    assert copies.hand_out(labs, mine) == []


def test_an_update_leaves_what_was_edited(labs, mine):
    write(mine / "00_start.ipynb", "guess = 1", "guess + 41")
    before = (mine / "00_start.ipynb").read_bytes()
    assert copies.hand_out(labs, mine) == [], "without an update there is nothing to say"
    write(labs / "00_start.ipynb", "guess = 2")
    (said,) = copies.hand_out(labs, mine)
    assert said == "00_start.ipynb: yours is changed and stays; lab.fresh('00') brings the new one"
    assert (mine / "00_start.ipynb").read_bytes() == before


def test_an_edit_that_is_taken_back_counts_as_none(labs, mine):
    write(mine / "00_start.ipynb", "guess = 41")
    copies.hand_out(labs, mine)
    write(mine / "00_start.ipynb", "guess = 1", "guess + 1")
    write(labs / "00_start.ipynb", "guess = 2")
    assert copies.hand_out(labs, mine) == ["00_start.ipynb: updated"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 3}', '{"cells": [{}]}'])
def test_what_is_no_notebook_any_more_is_left_alone(labs, mine, text):
    (mine / "00_start.ipynb").write_text(text)
    write(labs / "00_start.ipynb", "guess = 2")
    assert "stays" in copies.hand_out(labs, mine)[0]
    assert (mine / "00_start.ipynb").read_text() == text


def test_a_link_and_a_folder_of_that_name_stay(labs, mine, tmp_path):
    (mine / "00_start.ipynb").unlink()
    (mine / "00_start.ipynb").symlink_to("/nobody/there")
    (mine / "03_step.ipynb").unlink()
    (mine / "03_step.ipynb").mkdir()
    write(labs / "00_start.ipynb", "guess = 2")
    assert [said.partition(":")[0] for said in copies.hand_out(labs, mine)] == ["00_start.ipynb"]
    assert (mine / "00_start.ipynb").is_symlink() and (mine / "03_step.ipynb").is_dir()


@pytest.mark.parametrize("notes", [None, "", "{", "[]", '{"labs": 1, "copied": 2}'])
def test_copies_without_their_notes_count_as_changed_unless_they_equal_the_lab(labs, mine, notes):
    (mine / copies.NOTES).unlink() if notes is None else (mine / copies.NOTES).write_text(notes)
    run_it(mine / "00_start.ipynb")
    write(labs / "03_step.ipynb", "step = 2")
    (said,) = copies.hand_out(labs, mine)
    assert said.startswith("03_step.ipynb: yours is changed and stays") and sources(
        mine / "03_step.ipynb"
    ) == ["step = 1"]
    write(labs / "00_start.ipynb", "guess = 2")
    assert "00_start.ipynb: updated" in copies.hand_out(labs, mine)


def test_a_copy_that_was_deleted_comes_again(labs, mine):
    (mine / "00_start.ipynb").unlink()
    assert copies.hand_out(labs, mine) == ["00_start.ipynb: copied"]


def test_fresh_brings_a_lab_back_and_keeps_what_was_there_each_time(labs, mine, monkeypatch, capsys):
    monkeypatch.chdir(mine)
    for number in (1, 2):
        write(mine / "03_step.ipynb", f"step = {40 + number}")
        lab.fresh("03")
        assert sources(mine / "03_step.ipynb") == ["step = 1"]
        assert sources(mine / f"03_step.mine-{number}.ipynb") == [f"step = {40 + number}"]
    assert "03_step.ipynb is fresh. What you had is kept as 03_step.mine-2.ipynb." in capsys.readouterr().out
    write(labs / "03_step.ipynb", "step = 3")
    assert copies.hand_out(labs, mine) == ["03_step.ipynb: updated"], "a fresh one is unchanged again"


def test_fresh_names_what_it_can_bring(labs, mine, monkeypatch):
    monkeypatch.chdir(mine)
    for name in ("7", "", "0"):
        with pytest.raises(LabError, match=r"no one lab begins with .*there are: 00_start, 03_step"):
            lab.fresh(name)
    monkeypatch.chdir(labs)
    with pytest.raises(LabError, match="works where your copies of the labs are"):
        lab.fresh("03")


def test_a_folder_without_labs_is_told(tmp_path):
    with pytest.raises(LabError, match="there are no labs in"):
        copies.hand_out(tmp_path, tmp_path / "mine")


def test_the_courses_own_folder_is_no_place_for_copies(labs):
    with pytest.raises(LabError, match="is the course's own folder of labs"):
        copies.hand_out(labs, labs)
    assert not (labs / copies.NOTES).exists()


def made(folder, *words):
    """``make`` with this Python for the course's, in a folder that has the course's files."""
    for name in ("Makefile", "labs", "ddl_lab"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    (folder / ".venv/bin").mkdir(parents=True, exist_ok=True)
    python = folder / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    command = ["make", "-o", ".venv/.ready", *words]  # it counts as set up
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_make_lab_opens_the_copies_and_make_clean_spares_them(tmp_path):
    said = made(tmp_path, "lab", "LAB_FLAGS=--version")
    assert "00_start_here.ipynb: copied" in said and str(tmp_path / "my_labs") in said
    assert "copied" not in made(tmp_path, "lab", "LAB_FLAGS=--version")
    (tmp_path / "my_labs/.ipynb_checkpoints").mkdir()
    before = sorted(path.name for path in (tmp_path / "my_labs").iterdir())
    (tmp_path / "labs").unlink()
    (tmp_path / "ddl_lab").unlink()
    made(tmp_path, "clean")
    assert sorted(path.name for path in (tmp_path / "my_labs").iterdir()) == before
    assert not (tmp_path / ".venv").exists()
    ignored = subprocess.run(["git", "check-ignore", "my_labs/00_start_here.ipynb"], cwd=ROOT)
    assert ignored.returncode == 0


def handed_out(*where, **how):
    command = [sys.executable, "-m", "ddl_lab.learner.copies", *map(str, where)]
    return subprocess.run(command, capture_output=True, text=True, **how)


def test_a_folder_that_cannot_be_written_is_told_and_nothing_half_done_is_left(labs, tmp_path):
    (tmp_path / "file").write_text("")
    done = handed_out(labs, tmp_path / "file/mine", cwd=ROOT)
    assert done.returncode == 1 and done.stdout.startswith("your copies of the labs: ")


def test_the_real_labs_run_from_their_copies_with_the_package_beside_the_course(tmp_path):
    done = handed_out(ROOT / "labs", tmp_path / "mine", cwd=ROOT, umask=0o077)
    assert done.returncode == 0, done.stdout + done.stderr
    names = sorted(path.name for path in (ROOT / "labs").glob("*.ipynb"))
    assert sorted(path.name for path in (tmp_path / "mine").glob("*.ipynb")) == names
    assert not [path for path in (tmp_path / "mine").iterdir() if path.stat().st_mode & 0o077]
    code = "import ddl_lab as lab; lab.fresh('00'); print(lab.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "mine", capture_output=True, text=True, env=os.environ
    )
    assert "00_start_here.ipynb is fresh" in ran.stdout and str(ROOT / "ddl_lab") in ran.stdout, ran.stderr
