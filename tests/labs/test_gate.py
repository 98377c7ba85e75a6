"""No lab tells an answer before its reader's number: read cell by cell, and run by a reader who writes none.

``make gate`` runs all labs so; the tests, one of them and the first half of another.
"""

import os
from pathlib import Path

import gate
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
LABS = sorted((ROOT / "labs").glob("*.ipynb"))
MOST = {"01": None, "02": 43}  # of labs that the tests run: how many cells
if os.environ.get("DDL_LAB_GATE") == "all":
    MOST = dict.fromkeys(path.name[:2] for path in LABS)
RUN = [path for path in LABS if path.name[:2] in MOST]


def code(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_a_cell_that_reveals_tells_nothing_beside_its_gate(path):
    found = {cell.id: gate.leaks(cell.source) for cell in code(path) if ".reveal(" in cell.source}
    assert found and not any(found.values()), {name: said for name, said in found.items() if said}


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_every_question_is_answered_in_a_later_cell_and_has_a_key_of_its_own(path):
    asked = [found for cell in code(path) for found in gate.questions(cell.source)]
    keys = [key for _, key in asked]
    assert len(set(keys)) == len(keys) and all(key.startswith(path.name[:2] + ".") for key in keys)
    answered = "\n".join(cell.source for cell in code(path))
    assert [name for name, _ in asked if f"{name}.reveal(" not in answered] == []


SPEAKS = "def table():\n    print(1)\n"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("guess.reveal(1)\nprint(1)", "print stands outside"),
        ("print('so')\nguess.reveal(1)", "print stands outside"),
        ("guess.reveal(1)\nfor n in runs:\n    print(n)", "print stands outside"),
        ("guess.reveal(1)\nif runs:\n    display(runs)", "display stands outside"),
        (f"{SPEAKS}table()\nguess.reveal(1)", "table stands outside"),
        ("guess.reveal(1)\nplots.speedup(rates)", "the cell's last value is displayed"),
        ("guess.reveal(1)\nruns", "the cell's last value is displayed"),
        ("guess.reveal(print(1))\n[print(n) for n in runs]", "print stands outside"),
    ],
)
def test_a_leak_is_found(source, fault):
    assert any(fault in said for said in gate.leaks(source)), gate.leaks(source)


@pytest.mark.parametrize(
    "source",
    [
        f"{SPEAKS}guess.reveal(1, show=table)",
        "guess.reveal(1, show=lambda: print(1))",
        "guess.reveal(1, show=plots.speedup(rates))\nassert rates",
        f"{SPEAKS}guess.reveal(1)\nguess.then(table)",
        "print(1)\nruns",
    ],
)
def test_what_goes_through_the_gate_is_no_leak(source):
    assert gate.leaks(source) == []


@pytest.mark.parametrize(
    ("words", "measured", "told"),
    [
        ("64 nodes take 0.208 s", 0.2084, ["0.208"]),
        ("12,345 bytes", 12345.0, ["12,345"]),
        ("16 of 160", 16, []),
        ("0.21 s", 0.2084, []),
        ("0.21 s and 1208 and lr0.208", 0.2084, []),
    ],
)
def test_a_result_among_other_words_is_found_by_three_digits(words, measured, told):
    assert gate.told_in(words, measured) == told


def test_a_run_finds_what_a_later_cell_tells(tmp_path):
    sources = [
        "import ddl_lab as lab\nguess = lab.ask('00.a', 'How?')",
        "def table():\n    print('held 4.567')\n\nguess.reveal(4.567, show=table)",
        "guess.then(table)",
        "print('told 4.57')",
    ]
    path = tmp_path / "lab.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources))), path)
    (tmp_path / "home").mkdir()
    cells, measured = gate.run_without_a_number(path, tmp_path / "home")
    assert measured == {"00.a": 4.567} and gate.shows_only_the_gate(cells[1])
    assert [gate.told_in("\n".join(gate.texts(cell)), 4.567) for cell in cells] == [[], [], [], ["4.57"]]


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.stem)
def test_who_writes_no_number_sees_no_answer(path, tmp_path):
    cells, measured = gate.run_without_a_number(path, tmp_path, MOST[path.name[:2]])
    revealing = [cell for cell in cells if cell.cell_type == "code" and ".reveal(" in cell.source]
    assert [cell.id for cell in revealing if not gate.shows_only_the_gate(cell)] == []
    assert len(measured) == sum(
        len(gate.questions(cell.source)) for cell in cells if cell.cell_type == "code"
    )
    for key, value in measured.items():
        told = {cell.id: gate.told_in("\n".join(gate.texts(cell)), value) for cell in cells}
        assert not any(told.values()), (key, value, {name: found for name, found in told.items() if found})
