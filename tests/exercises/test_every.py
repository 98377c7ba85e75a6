"""Every exercise stands in a file of its name, its tests too; its answer passes, an empty cell waits."""

import importlib
import inspect
from pathlib import Path

import pytest
from exercising import said

from ddl_lab.exercises.standing import all_exercises

ALL = all_exercises()


def empty(*args):
    """Its docstring."""
    # your lines from here
    ...
    # to here


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)
def test_the_courses_answer_passes(one):
    state, text = said(one, one.reference)
    assert state == "right" and text


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)
def test_an_empty_cell_is_not_tried_yet_and_lends_the_answer(one, capsys, monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    assert one.check(one.given or empty) is one.reference
    assert "not tried yet — the course's answer stands in" in capsys.readouterr().out


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)
def test_it_stands_in_a_file_of_its_name_in_its_labs_folder(one):
    lab, _, name = one.key.partition(".")
    home = f"ddl_lab.exercises.lab_{lab}"
    assert getattr(importlib.import_module(home), name) is one
    assert inspect.getmodule(one.reference).__name__ == f"{home}.{name}"


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)
def test_a_file_of_its_name_holds_right_answers_in_other_styles_and_wrong_ones(one):
    lab, _, name = one.key.partition(".")
    text = (Path(__file__).parent / f"lab_{lab}" / f"test_{name}.py").read_text()
    assert f"= passes(exercise.{name}," in text.replace("(\n    ", "(")
    assert f"= refused(exercise.{name}," in text.replace("(\n    ", "(")


def test_each_labs_exercises_come_in_the_order_in_which_the_lab_lists_them():
    labs = {one.key[:2]: [] for one in ALL}
    for one in ALL:
        labs[one.key[:2]].append(one.key[3:])
    for lab, names in labs.items():
        assert importlib.import_module(f"ddl_lab.exercises.lab_{lab}").__all__ == names
