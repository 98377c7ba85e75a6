"""The labs' exercises and the article's faults: each stands in its lab, in the form that is asked.

An exercise is three cells in a row: the task, a function to complete, a check. The latter two carry
nbgrader's metadata, so that an instructor can release and autograde a lab.
"""

import builtins
import importlib
import inspect
import re
import symtable
from pathlib import Path

import nbformat
import pytest

from ddl_lab.exercises.stubs import untouched
from ddl_lab.exercises.texts import source_of

ROOT = Path(__file__).parents[2]
LABS = {path.name[:2]: path for path in sorted((ROOT / "labs").glob("[0-9][0-9]_*.ipynb"))}
WITH_EXERCISES = [number for number in LABS if (ROOT / f"ddl_lab/exercises/lab_{number}").is_dir()]
# what is wrong in the article, by number, and the labs of which one shows it
SHOWN_IN = {1: ["03"], 2: ["03"], 3: ["03"], 4: ["01", "02"], 5: ["07"], 15: ["02"], 16: ["01"], 17: ["01"]}
SHOWN_IN |= {6: ["06"], 19: ["18"]} | {item: ["05"] for item in (*range(7, 15), 18)}


def cells(number):
    return nbformat.read(LABS[number], as_version=4).cells


def exercises(number):
    """The lab's exercises by the name that its notebook uses."""
    module = importlib.import_module(f"ddl_lab.exercises.lab_{number}")
    return {name: getattr(module, name) for name in module.__all__}


def rows(number):
    """(task, exercise cell, check cell) of each solution cell: the cells around it."""
    found = cells(number)
    places = [k for k, cell in enumerate(found) if cell.metadata.get("nbgrader", {}).get("solution")]
    return [found[k - 1 : k + 2] for k in places]


def defined(source):
    """The function that an exercise cell defines, without running anything else."""
    names = {}
    exec(compile(source, "<exercise>", "exec"), names)
    (function,) = [value for name, value in names.items() if name != "__builtins__"]
    return function


@pytest.fixture(params=WITH_EXERCISES)
def number(request):
    return request.param


def test_every_exercise_is_checked_in_its_lab_exactly_once_in_the_order_of_its_folder(number):
    checks = [
        name
        for cell in cells(number)
        if cell.cell_type == "code"
        for name in re.findall(r"\bexercise\.(\w+)\.check\(", cell.source)
    ]
    assert checks == list(exercises(number))
    assert 4 <= len(checks) <= 7


def test_an_exercise_is_called_in_the_lab_as_its_key_says(number):
    assert {f"{number}.{name}" for name in exercises(number)} == {e.key for e in exercises(number).values()}


def test_an_exercise_is_a_task_an_untouched_function_and_its_check(number):
    known = exercises(number)
    assert len(rows(number)) == len(known)
    for task, cell, check in rows(number):
        (name,) = re.findall(r"exercise\.(\w+)\.check", check.source)
        exercise, function = known[name], defined(cell.source)
        assert untouched(function, exercise.given), f"{cell.id} holds an answer"
        call = f"{function.__name__} = exercise.{name}.check({function.__name__})"
        assert check.source.strip() == call, check.id
        dots = "●" * exercise.difficulty + "○" * (3 - exercise.difficulty)
        head = rf"\*\*{int(number)}\.\d · {re.escape(exercise.title)}\*\* "
        head += rf"\(difficulty {dots}, {exercise.minutes} minutes\)"
        assert task.cell_type == "markdown" and re.match(head, task.source), task.source[:80]


def test_the_courses_answer_reads_like_the_learners_function(number):
    known = exercises(number)
    for _, cell, check in rows(number):
        (name,) = re.findall(r"exercise\.(\w+)\.check", check.source)
        answer, function = source_of(known[name].reference), defined(cell.source)
        first = f"def {function.__name__}{inspect.signature(function)}:\n"
        assert answer.startswith(first), answer
        compile(answer, "<answer>", "exec")


def test_the_courses_answer_needs_no_name_that_the_lab_lacks(number):
    """Whoever copies it into the cell can run it; tests/classroom/test_nbgrader.py does, for some labs."""
    lines = "\n".join(cell.source for cell in cells(number) if cell.cell_type == "code")
    code = re.sub(r"^%.*$", "", lines, flags=re.MULTILINE)
    top = symtable.symtable(code, number, "exec").get_symbols()
    there = {name.get_name() for name in top if name.is_assigned() or name.is_imported()} | set(dir(builtins))
    for name, exercise in exercises(number).items():
        answer = symtable.symtable(source_of(exercise.reference), name, "exec")
        assert missing(answer, there | {symbol.get_name() for symbol in answer.get_symbols()}) == set(), name


def missing(table, there):
    """Global names that the functions of ``table`` use and that aren't ``there``."""
    used = {name.get_name() for name in table.get_symbols() if name.is_global()}
    return (used - there).union(*(missing(child, there) for child in table.get_children()))


def test_its_cells_carry_what_nbgrader_needs(number):
    ids = []
    for _, cell, check in rows(number):
        solution, grade = cell.metadata.nbgrader, check.metadata.nbgrader
        ids += [solution.grade_id, grade.grade_id]
        assert grade.grade_id == f"{solution.grade_id}-check"
        assert solution.grade_id.startswith(f"lab-{number}-")
        flags = {"schema_version": 3, "task": False}
        answered = flags | {"grade": False, "solution": True, "locked": False}
        assert solution == answered | {"grade_id": solution.grade_id}
        points = grade.points
        graded = flags | {"grade": True, "solution": False, "locked": True, "points": points}
        assert grade == graded | {"grade_id": grade.grade_id} and points >= 1
        source = cell.source
        assert source.count("# your lines from here\n") == 1 and source.count("# to here") == 1
        assert source.index("# your lines from here") < source.index("...") < source.index("# to here")
    assert len(set(ids)) == len(ids)


def test_no_cell_of_a_lab_shows_an_answer(number):
    assert not any(
        re.search(r"\.(answer|hint)\(\)", c.source) for c in cells(number) if c.cell_type == "code"
    )


def test_a_prediction_is_asked_before_its_result_in_a_cell_of_its_own(number):
    asked = {}
    for cell in cells(number):
        if cell.cell_type != "code":
            continue
        for name, key in re.findall(r"^(\w+) = lab\.ask\(\s*[\"'](\d\d\.\w+)[\"']", cell.source, re.M):
            assert key.startswith(number) and key not in asked.values(), f"{cell.id}: {key}"
            asked[name] = key
            assert ".reveal(" not in cell.source, cell.id
        for name in re.findall(r"\b(\w+)\.reveal\(", cell.source):
            assert name in asked, f"{cell.id} reveals {name}, which no cell above asks"
    assert asked


@pytest.mark.parametrize("item", SHOWN_IN)
def test_each_of_the_articles_faults_is_shown_by_a_cell(item):
    there = [number for number in SHOWN_IN[item] if number in LABS]
    if not there:
        pytest.skip(f"lab {SHOWN_IN[item][0]} is not here yet")
    tagged = [
        cell
        for number in there
        for cell in cells(number)
        if f"article-{item}" in cell.metadata.get("tags", []) and cell.cell_type == "code"
    ]
    assert tagged, f"no cell of labs {', '.join(there)} is tagged article-{item}"
    assert any(cell.outputs for cell in tagged), "they show nothing"
