"""The labs: nbval runs their cells beside this; here, their form, and that nbval's check bites.

A cell whose tags have `nbval-check-output` shows the same on every machine, and is compared. All
others are run and not compared: what must hold in them is asserted in the cell.
"""

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image, PngImagePlugin

from tools import make_labs

ROOT = Path(__file__).parents[2]
LABS = sorted((ROOT / "labs").glob("*.ipynb"))
TAGS = {"nbval-check-output", "nbval-ignore-output", "raises-exception"}
ARTICLE = {f"article-{item}" for item in range(1, 20)}  # the cell that shows this fault of the article
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-sanitize-with", str(ROOT / "tests/nbval.cfg")]


@pytest.fixture(params=LABS, ids=lambda path: path.stem)
def lab(request):
    return nbformat.read(request.param, as_version=4)


def texts(lab, kind):
    return [cell.source for cell in lab.cells if cell.cell_type == kind]


def headings(lab):
    return re.findall(r"^## +(.+?) *$", "\n".join(texts(lab, "markdown")), re.MULTILINE)


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_a_lab_is_as_make_labs_writes_it(path, capsys):
    assert make_labs.check(path), capsys.readouterr().out


def test_a_lab_opens_with_what_you_will_do_need_and_how_long_it_takes(lab):
    opening = "\n".join(cell.source for cell in lab.cells[:3] if cell.cell_type == "markdown")
    assert re.match(r"# \d\d · \S", opening)
    assert re.search(r"\byou can\b", opening)
    assert "**You need**" in opening
    assert re.search(r"\b(minutes|hour)", opening)
    number = re.match(r"# (\d\d)", opening)[1]
    assert f'`lab.fresh("{number}")`' in opening


def test_a_lab_ends_with_summary_exercises_and_sources(lab):
    last = headings(lab)[-3:]
    assert sorted(last) == ["Exercises", "Sources", "Summary"] and last[-1] == "Sources"


def test_code_cells_are_short(lab):
    lengths = [len(source.splitlines()) for source in texts(lab, "code")]
    assert max(lengths) <= 25
    assert sorted(lengths)[len(lengths) // 2] <= 9


def test_cells_carry_tags_that_are_known_and_some_are_compared(lab):
    tags = {tag for cell in lab.cells for tag in cell.metadata.get("tags", [])}
    assert tags <= TAGS | ARTICLE
    assert "nbval-check-output" in tags


def test_cell_ids_are_unique_and_told_apart_by_hand(lab):
    ids = [cell.id for cell in lab.cells]
    assert len(set(ids)) == len(ids)
    assert [name for name in ids if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f-]+)?", name)] == []


def test_no_comment_in_a_lab_speaks_to_the_tests(lab):
    assert not any("NBVAL" in source for source in texts(lab, "code"))


def tiny(shown):
    """A notebook of two cells, the second one compared; ``shown``: its output as saved."""
    cells = [
        new_code_cell("value = 6", id="first", execution_count=1),
        new_code_cell(
            "print('measured', value * 7)\nvalue",
            id="second",
            execution_count=2,
            metadata={"tags": ["nbval-check-output"]},
            outputs=[
                new_output("stream", name="stdout", text=shown),
                new_output("execute_result", {"text/plain": "6"}, execution_count=2),
            ],
        ),
    ]
    return new_notebook(cells=cells, metadata=make_labs.METADATA)


def test_a_changed_output_fails_and_the_same_one_passes(tmp_path):
    nbformat.write(tiny("measured 42\n"), tmp_path / "same.ipynb")
    nbformat.write(tiny("measured 43\n"), tmp_path / "changed.ipynb")
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(tmp_path), "-rA"]
    command += ["-p", "no:cacheprovider", "--color=no", *NBVAL, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout
    assert re.findall(r"^(PASSED|FAILED) \S*?(\w+).ipynb::Cell (\d)", told, re.MULTILINE) == [
        ("PASSED", "changed", "0"),
        ("PASSED", "same", "0"),
        ("PASSED", "same", "1"),
        ("FAILED", "changed", "1"),
    ], told
    assert "Cell outputs differ" in told


def test_make_test_runs_the_labs_with_the_same_check():
    import tomllib

    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert "labs" in options["testpaths"]
    assert set(NBVAL[:3]) <= set(options["addopts"].replace("=", " ").split())


PNG = io.BytesIO()
TEXTS = PngImagePlugin.PngInfo()
TEXTS.add_text("Software", "a program and its version")
Image.new("RGB", (3, 3), "red").save(PNG, "png", pnginfo=TEXTS)


def used():
    """A notebook as an editor saves it after a run."""
    view = {make_labs.WIDGET: {"model_id": "1"}, "text/plain": "IntSlider()"}
    outputs = [
        new_output("stream", name="stdout", text="one\n"),
        new_output("stream", name="stdout", text="two\n"),
        new_output("stream", name="stderr", text="three\n"),
        new_output("display_data", view),
        new_output("execute_result", {"image/png": base64.b64encode(PNG.getvalue()).decode()}),
    ]
    passing = {"execution": {"iopub.status.busy": "2026-01-01"}, "scrolled": True, "tags": []}
    cells = [
        new_markdown_cell("# 99 · A lab", id="title"),
        new_code_cell("", id="empty", execution_count=8),
        new_code_cell("1", id="one", execution_count=17, metadata=passing, outputs=outputs),
    ]
    metadata = {"widgets": {}, "language_info": {"name": "python", "version": "3.11.9"}}
    return new_notebook(cells=cells, metadata=metadata)


def test_what_depends_on_when_and_by_what_a_lab_ran_is_dropped():
    notebook = used()
    make_labs.normalise(notebook)
    assert notebook.metadata == make_labs.METADATA
    title, empty, one = notebook.cells
    assert (title.id, empty.id, one.id) == ("title", "empty", "one")
    assert one.metadata == {}
    assert (empty.execution_count, one.execution_count) == (None, 1)
    streams = [(output.name, output.text) for output in one.outputs[:2]]
    assert streams == [("stdout", "one\ntwo\n"), ("stderr", "three\n")]
    (result,) = one.outputs[2:]
    assert result.execution_count == 1
    picture = Image.open(io.BytesIO(base64.b64decode(result.data["image/png"])))
    assert picture.info == {} and picture.getpixel((1, 1)) == (255, 0, 0)


def test_the_form_is_a_fixed_point():
    notebook = used()
    make_labs.normalise(notebook)
    text = make_labs.written(notebook)
    again = nbformat.reads(text, as_version=4)
    make_labs.normalise(again)
    assert make_labs.written(again) == text
    assert text.endswith("}\n")


@pytest.fixture
def labs(tmp_path, monkeypatch):
    """A folder of labs of its own for make_labs."""
    monkeypatch.setattr(make_labs, "LABS", tmp_path)

    def add(name, source, **metadata):
        cell = new_code_cell(source, id="cell", metadata=metadata)
        nbformat.write(new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
        return tmp_path / f"{name}.ipynb"

    return add


def test_a_lab_runs_in_this_python_and_is_rewritten_in_its_form(labs, capsys):
    path = labs("01_python", f"import sys\nprint('this:', sys.prefix == {sys.prefix!r})")
    assert not make_labs.check(path)
    assert make_labs.remake(path) and "rewritten" in capsys.readouterr().out
    (cell,) = nbformat.read(path, as_version=4).cells
    assert (cell.outputs[0].text, cell.execution_count) == ("this: True\n", 1)
    assert make_labs.check(path)


def test_a_lab_that_raises_stays_as_it_was_and_the_error_is_shown(labs, capsys):
    path = labs("01_broken", "1 / 0")
    before = path.read_text()
    assert not make_labs.remake(path)
    assert path.read_text() == before
    assert "ZeroDivisionError" in capsys.readouterr().out


def saved(source, *outputs, tags=()):
    metadata = {"tags": list(tags)} if tags else {}
    return new_notebook(cells=[new_code_cell(source, id="it", metadata=metadata, outputs=list(outputs))])


ERROR = new_output("error", ename="ValueError", evalue="no", traceback=["no"])


@pytest.mark.parametrize(
    ("notebook", "fault"),
    [
        (saved("f()", ERROR), "cell it shows ValueError and isn't tagged"),
        (saved("f()", tags=["raises-exception"]), "cell it is tagged raises-exception and raises nothing"),
        (saved("f()", new_output("stream", text=f"{Path.home()}/x")), "a path of this machine"),
        (saved("f()", new_output("display_data", {"text/plain": "x" * 1_000_001})), "more than 1,000,000"),
    ],
)
def test_what_must_not_be_committed_is_found(notebook, fault):
    found = make_labs.faults(notebook, make_labs.written(notebook))
    assert len(found) == 1 and fault in found[0]


def test_an_error_where_it_belongs_is_none():
    notebook = saved("f()", ERROR, tags=["raises-exception"])
    assert make_labs.faults(notebook, make_labs.written(notebook)) == []


def test_labs_are_chosen_by_how_their_names_begin(labs):
    paths = [labs(name, "1") for name in ("00_start", "05_one", "05_two")]
    assert make_labs.chosen([]) == paths
    assert make_labs.chosen(["05"]) == paths[1:]
    with pytest.raises(SystemExit, match=r"no lab begins with '7'.*00_start, 05_one"):
        make_labs.chosen(["05", "7"])
