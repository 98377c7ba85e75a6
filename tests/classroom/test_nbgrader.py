"""nbgrader, with the configuration that docs/ keeps, on the labs as they are: release, autograde, points."""

import csv
import json
import os
import subprocess

import nbformat
import pytest
from classroom import ROOT, environment, told

from ddl_lab.exercises import lab_01
from ddl_lab.exercises.texts import source_of
from tests.labs.test_exercises import LABS, WITH_EXERCISES, exercises, rows

RELEASE_ALL = """
from nbgrader.apps.api import NbGraderAPI
from traitlets.config import PyFileConfigLoader
api = NbGraderAPI(config=PyFileConfigLoader("nbgrader_config.py").load_config())
for name in {names}:
    done = api.generate_assignment(name, force=True)
    assert done["success"], done["log"] + done.get("error", "")
"""
LAB = "01"
QUICK = ("01",)  # all labs take too long for every `make test`: `make grade`
GRADED = WITH_EXERCISES if os.environ.get("DDL_LAB_GRADE") == "all" else QUICK
RIGHT = {"entropy": source_of(lab_01.entropy.reference)}
WRONG = {"pairs": "def all_pairs_mean(p, y):\n    return (p - y).pow(2).mean()\n"}


def in_environment(course, program, *arguments):
    """Run a program in the course's folder, as an instructor does who keeps nothing at home."""
    own = os.environ | {"PATH": f"{environment() / 'bin'}:{os.environ['PATH']}", "HOME": str(course)}
    own |= {"MPLCONFIGDIR": str(course / "matplotlib")}
    done = subprocess.run(
        [environment() / "bin" / program, *arguments],
        cwd=course, env=own, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course's folder: every lab is an assignment, with the answers in its source, and released."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "nbgrader_config.py").write_bytes((ROOT / "docs/nbgrader_config.py").read_bytes())
    for number in WITH_EXERCISES:
        assignment = folder / f"source/lab_{number}"
        assignment.mkdir(parents=True)
        nbformat.write(answered(number), assignment / LABS[number].name)
    names = [f"lab_{number}" for number in WITH_EXERCISES]
    in_environment(folder, "python", "-c", RELEASE_ALL.format(names=names))
    return folder


def answered(number):
    """The lab as an instructor may have it: the course's answers between the markers."""
    notebook, known = nbformat.read(LABS[number], as_version=4), exercises(number)
    for cell, check in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.metadata.get("nbgrader", {}).get("solution"):
            name = check.source.split("exercise.")[1].split(".")[0]
            lines = source_of(known[name].reference).rstrip().splitlines()[1:]
            head, rest = cell.source.split("# your lines from here\n")
            tail = rest.partition("    # to here")[1:]
            cell.source = "\n".join([f"{head}# your lines from here", *lines, "".join(tail)])
    return notebook


def released(course, number):
    return nbformat.read(course / f"release/lab_{number}" / LABS[number].name, as_version=4)


@pytest.mark.parametrize("number", WITH_EXERCISES)
def test_a_release_has_all_exercises_and_none_of_the_answers_in_its_source(course, number):
    by_id = {
        c.metadata.nbgrader.grade_id: c for c in released(course, number).cells if "nbgrader" in c.metadata
    }
    for _, cell, check in rows(number):
        name = cell.metadata.nbgrader.grade_id
        source = (course / f"source/lab_{number}" / LABS[number].name).read_text()
        assert json.dumps(cell.source)[1:-1] not in source, "the source held the answer"
        assert by_id.pop(name).source == cell.source, "the release holds the lab's own empty function"
        locked = by_id.pop(f"{name}-check")
        assert locked.source == check.source and locked.metadata.nbgrader.points >= 1
    assert by_id == {}


def grades_of(folder, number, handed_in):
    """Learner -> (points, most points), as docs/classroom.md grades what each has handed in."""
    for learner, notebook in handed_in.items():
        place = folder / f"submitted/{learner}/lab_{number}"
        place.mkdir(parents=True)
        nbformat.write(notebook, place / LABS[number].name)
    block = told("export PATH").replace("lab_03", f"lab_{number}").replace("labs/03_", f"labs/{number}_")
    in_environment(folder, "/bin/sh", "-ec", block)
    with (folder / "grades.csv").open() as file:
        rows_of = list(csv.DictReader(file))
    assert {row["assignment"] for row in rows_of} == {f"lab_{number}"}
    return {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in rows_of}


@pytest.mark.parametrize("number", GRADED)
def test_the_courses_answers_get_all_points_and_an_untouched_lab_none(tmp_path, number):
    most = sum(check.metadata.nbgrader.points for _, _, check in rows(number))
    untouched = nbformat.read(LABS[number], as_version=4)
    grades = grades_of(tmp_path, number, {"ada": answered(number), "bob": untouched})
    assert grades == {"ada": (most, most), "bob": (0, most)}


def test_a_submission_is_graded_by_the_points_of_what_is_right(tmp_path):
    notebook, points = nbformat.read(LABS[LAB], as_version=4), {}  # as the Hub hands it out
    for cell, check in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.metadata.get("nbgrader", {}).get("solution"):
            name = check.source.split("exercise.")[1].split(".")[0]
            points[name] = check.metadata.nbgrader.points
            cell.source = RIGHT.get(name) or WRONG.get(name) or cell.source
    assert set(RIGHT) | set(WRONG) < set(points)
    grades = grades_of(tmp_path, LAB, {"ada": notebook})
    assert grades == {"ada": (sum(points[name] for name in RIGHT), sum(points.values()))}
    graded = nbformat.read(tmp_path / f"autograded/ada/lab_{LAB}" / LABS[LAB].name, as_version=4)
    raised = [o.evalue for c in graded.cells if c.cell_type == "code" for o in c.outputs if "evalue" in o]
    assert [words for words in raised if words.startswith("01.pairs: not yet")], raised
