"""A learner's copy of a lab from before the package had its rooms runs on, with the numbers it showed then.

``old/`` keeps the quick cells of lab 03 as they were, and what they printed.
"""

import importlib
import sys
from pathlib import Path

import nbformat
import pytest

from ddl_lab.moved import MOVED
from tools import make_labs

OLD = Path(__file__).parent / "old" / "03_one_step.ipynb"
# every line by which a lab took something from the package, when the modules lay loose at its root
IMPORTS = """
import ddl_lab as lab
from ddl_lab import plots
from ddl_lab.data import load_digits
from ddl_lab.exercises import lab_00 as exercise
from ddl_lab.exercises import lab_01 as exercise
from ddl_lab.exercises import lab_02 as exercise
from ddl_lab.exercises import lab_03 as exercise
from ddl_lab.exercises import lab_04 as exercise
from ddl_lab.exercises import lab_05 as exercise
from ddl_lab.exercises import lab_06 as exercise
from ddl_lab.exercises import lab_07 as exercise
from ddl_lab.exercises import lab_08 as exercise
from ddl_lab.exercises import lab_09 as exercise
from ddl_lab.interpreter import Interpreter
from ddl_lab.plots import one_step
from ddl_lab.plots import staleness as figures
from ddl_lab.strategies import collectives as package
from ddl_lab.strategies import data_parallel, parameter_server as package
from ddl_lab.strategies import hybrid
from ddl_lab.strategies import meshes
from ddl_lab.strategies import sharded
from ddl_lab.strategies import tensor_parallel as tp
from ddl_lab.strategies.activations import Live
from ddl_lab.strategies.collectives import ring_all_reduce
from ddl_lab.strategies.playing import check, measured, play
from ddl_lab.strategies.schedules import Step, in_flight, interleaved, with_messages
from ddl_lab.strategies.sharded import adam
from ddl_lab.strategies.staleness import bounded
"""


@pytest.mark.parametrize("line", IMPORTS.split("\n")[1:-1])
def test_every_import_of_an_old_lab_still_finds_what_it_names(line):
    exec(line, {})


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_the_module_itself_whichever_is_imported_first(old, monkeypatch):
    monkeypatch.delitem(sys.modules, f"ddl_lab.{old}", raising=False)
    module = importlib.import_module(f"ddl_lab.{old}")
    assert module is importlib.import_module(f"ddl_lab.{MOVED[old]}")


def printed(cell):
    return "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")


def test_an_old_copy_of_a_lab_runs_and_prints_what_it_printed():
    notebook = nbformat.read(OLD, as_version=4)
    then = {cell.id: printed(cell) for cell in notebook.cells if cell.outputs}
    assert len(then) == 4 and "from ddl_lab.plots import one_step" in notebook.cells[0].source
    make_labs.run(notebook)
    assert {cell.id: printed(cell) for cell in notebook.cells if cell.id in then} == then
