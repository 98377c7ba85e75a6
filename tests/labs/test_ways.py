"""The core way through a lab: it says its minutes, an hour at most, and runs without what is further."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import make_labs, ways

LABS = sorted((Path(__file__).parents[2] / "labs").glob("*.ipynb"))
NEAR = 2  # minutes that a row may be off: a word mended here or there needs no new table


@pytest.fixture(params=LABS, ids=lambda path: path.stem)
def marked(request):
    """A lab whose opening has the table."""
    notebook = nbformat.read(request.param, as_version=4)
    if not ways.told(notebook):
        pytest.skip("its opening has no table of its parts yet")
    return notebook


def test_the_opening_names_every_part_its_way_and_its_minutes(marked):
    told, found = ways.told(marked), ways.reckoned(marked)
    assert list(told) == list(found)
    assert {name: way for name, (way, _) in told.items()} == {name: way for name, (way, _) in found.items()}
    off = {name: (told[name][1], found[name][1]) for name in told}
    off = {name: pair for name, pair in off.items() if abs(pair[0] - pair[1]) > NEAR}
    assert not off, f"minutes told, minutes reckoned: {off}: run python -m tools.ways"


def test_its_sentence_adds_the_table_up(marked):
    opening = "\n".join(cell.source for cell in marked.cells[:4])
    assert ways.sentence(ways.told(marked)) in opening


def test_the_core_way_is_an_hour_at_most_with_its_exercises(marked):
    for minutes in (ways.told(marked), ways.reckoned(marked)):
        assert sum(taken for way, taken in minutes.values() if way == "core") <= ways.MOST_MINUTES


def test_the_core_way_uses_no_name_of_what_is_further(marked):
    assert ways.borrowed(marked) == []


@pytest.mark.skipif(os.environ.get("DDL_LAB_GATE") != "all", reason="all labs once more: make gate")
def test_the_core_way_runs_without_what_is_further(marked):
    """Errors that a cell shows on purpose are not meant: nbclient lets those pass that are tagged so."""
    core = ways.core(marked)
    assert len(core.cells) < len(marked.cells)
    make_labs.run(core)
    shown = [o for cell in core.cells for o in cell.get("outputs", []) if o.output_type == "error"]
    tagged = [cell for cell in core.cells if "raises-exception" in cell.metadata.get("tags", [])]
    assert len(shown) == len(tagged)


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_a_further_part_is_in_the_table(path):
    notebook = nbformat.read(path, as_version=4)
    named = re.findall(
        r"^##.*Further: (.+?) *$", "\n".join(cell.source for cell in notebook.cells), re.MULTILINE
    )
    told = [name for name, (way, _) in ways.told(notebook).items() if way == "further"]
    assert [name for name in named if not any(row.endswith(name) for row in told)] == []


def lab(*cells):
    """A notebook of markdown (lines that begin with #, or a task) and code."""
    kinds = {True: new_markdown_cell, False: new_code_cell}
    return new_notebook(
        cells=[kinds[text[0] in "#*|"](text, id=f"c{place}") for place, text in enumerate(cells)]
    )


SMALL = (
    "# 99 · A lab",
    "## 1 · First",
    "a = 1",
    "### Further: more of it",
    "b = a",
    "### A knob",
    "c = a",
    "## 2 · Further: all of this",
    "d = c",
    "### Its end",
    "e = d",
    "## Summary",
    "## Exercises",
    "**9.1 · One** (difficulty ●○○, 5 minutes). Do.",
    "f = 1",
    "**9.2 · Two** (difficulty ●●○, 7 minutes). Do.",
    "g = 1",
    "## Sources",
)


def test_a_further_part_ends_at_the_next_heading_of_its_level_and_an_hard_exercise_is_one():
    rows = {
        part.name: [c.source for c in part.cells if c.cell_type == "code"] for part in ways.parts(lab(*SMALL))
    }
    assert rows == {
        ways.ENDS: [],
        "1 · First": ["a = 1", "c = a"],
        "1 · more of it": ["b = a"],
        "2 · all of this": ["d = c", "e = d"],
        ways.EASY: ["f = 1"],
        ways.HARD: ["g = 1"],
    }
    code = [cell.source for cell in ways.core(lab(*SMALL)).cells if cell.cell_type == "code"]
    assert code == ["a = 1", "c = a", "f = 1"]


def test_a_name_that_a_further_cell_has_made_or_changed_is_borrowed():
    further = "## 2 · Further: all of this"
    made = lab(
        "# 99 · A lab", further, "a = 1", "## 3 · On", "def f():\n    return a", "def g(a):\n    return a"
    )
    assert ways.borrowed(made) == ["c4 uses a, of c2"]
    changed = lab(
        "# 99 · A lab", "## 1 · On", "a = 0", further, "a = 1", "## 3 · On", "b = [a for _ in b]", "a = b"
    )
    assert ways.borrowed(changed) == ["c6 uses a, of c4"]
    again = lab("# 99 · A lab", further, "a = 1", "## 3 · On", "a = 2", "b = a", "c = [a for a in b]")
    assert ways.borrowed(again) == []


def test_minutes_count_words_lines_figures_equations_predictions_and_knobs():
    assert ways.minutes_of(new_markdown_cell("word " * 240)) == 2
    assert ways.minutes_of(new_markdown_cell("$$x$$ " * 3)) == pytest.approx(3, abs=0.1)
    assert ways.minutes_of(new_markdown_cell("**Turn a knob:** try. > **Your prediction.**")) > 2
    assert ways.minutes_of(new_code_cell("a = 1\n\n" * 12)) == 1
    assert ways.minutes_of(new_code_cell("guess = lab.ask()")) == pytest.approx(1 + 1 / 12)
    shown = [new_output("stream", text="line\n" * 30), new_output("display_data", {"image/png": "AA=="})]
    assert ways.minutes_of(new_code_cell("f()", outputs=shown)) == pytest.approx(2 + 1 / 12)


def test_the_sentence_and_the_table_say_what_the_opening_is_read_for():
    rows = ways.reckoned(lab(*SMALL))
    opening = lab("# 99 · A lab", f"| | |\n{ways.sentence(rows)}\n\n{ways.table(rows)}")
    assert ways.told(opening) == rows
    assert "about 2 minutes on the core way, and 5 for its exercises" in ways.sentence(rows)
    assert "takes 2 more, its exercises 7" in ways.sentence(rows)
