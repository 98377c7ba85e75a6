"""Whether a lab tells an answer before its reader's number: by its cells' syntax trees, and by a run."""

import ast
import copy
import json
import os
import re

import nbformat
from nbclient import NotebookClient

from tools import make_labs

GATES = ("reveal", "then")
TELLING = ("print", "display", "pprint")
# what an attended cell that reveals may show: its question, its box, a line, and places that are empty
SILENT = re.compile(r"Your prediction\. |Your number first|This comes after your number|HBox\(|$")
WAIVE = "from ddl_lab.learner import predictions\nfor p in [*predictions._asked.values()]:\n    p.waive()"


def calls(tree, names):
    """Calls of these functions or methods anywhere in the tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in names:
            yield node


def outside(tree, inside):
    """All nodes that are in none of the ``inside`` ones, and in no function's body."""
    if any(tree is node for node in inside):
        return
    yield tree
    if not isinstance(tree, ast.FunctionDef | ast.Lambda):
        for child in ast.iter_child_nodes(tree):
            yield from outside(child, inside)


def leaks(source):
    """What a cell that reveals tells beside its gate, a sentence each; of any other cell: nothing."""
    tree = ast.parse(source)
    if not any(True for _ in calls(tree, ["reveal"])):
        return []
    gates = list(calls(tree, GATES))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    telling = {f.name for f in functions if any(True for _ in calls(f, TELLING))}
    found = []
    for node in outside(tree, gates):
        name = getattr(node, "id", "")
        if name in TELLING or name in telling:
            found.append(f"line {node.lineno}: {name} stands outside of show=")
    last = tree.body[-1]
    if isinstance(last, ast.Expr) and last.value not in gates:
        found.append(f"line {last.lineno}: the cell's last value is displayed")
    return found


def questions(source):
    """The variable and the key of each question that a cell asks."""
    if "lab.ask(" not in source:
        return []
    assigned = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assign)]
    asking = [node for node in assigned if any(True for _ in calls(node.value, ["ask"]))]
    return [(node.targets[0].id, node.value.args[0].value) for node in asking]


def run_without_a_number(path, home, most=None):
    """The lab's cells with their outputs, and what was measured, by key; ``home``: of the learner's file.

    ``most``: so many cells from the first on; all of them unless told.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = notebook.cells[:most]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    cells = len(notebook.cells)
    notebook.cells.append(nbformat.v4.new_code_cell(WAIVE, id="waive"))
    client = NotebookClient(
        notebook,
        kernel_manager_class=make_labs.ThisPython,
        timeout=make_labs.CELL_TIMEOUT_S,
        resources={"metadata": {"path": str(path.parent)}},
    )
    env = {k: v for k, v in os.environ.items() if k != "DDL_LAB_UNATTENDED"} | {"DDL_LAB_HOME": str(home)}
    with client.setup_kernel(env=env):
        client.kc.allow_stdin = True  # as a page says it: somebody is there, so predictions are asked for
        for index in range(cells):
            client.execute_cell(notebook.cells[index], index)
        shown = copy.deepcopy(notebook.cells[:cells])  # what is waived now is filled in later
        client.execute_cell(notebook.cells[cells], cells)
    kept = json.loads((home / "learner.json").read_text())["predictions"]
    return shown, {key: known["measured"] for key, known in kept.items()}


def texts(cell):
    """All words that a cell shows."""
    return [text for output in cell.get("outputs", []) for text in make_labs.texts(output)]


def shows_only_the_gate(cell):
    """Whether a cell that reveals shows its question and its box, and nothing else."""
    kinds = {output.output_type for output in cell.outputs}
    plain = [output.data.get("text/plain", "") for output in cell.outputs if "data" in output]
    pictures = any("image/png" in output.get("data", {}) for output in cell.outputs)
    return kinds <= {"display_data"} and not pictures and all(map(SILENT.match, plain))


def told_in(words, measured):
    """The numbers in ``words`` that are ``measured``, to the three digits or more that tell it for sure."""
    if not measured or abs(measured) == float("inf") or float(f"{measured:.2g}") == measured:
        return []  # 0, 16 and 0.5 stand everywhere
    numbers = re.findall(r"(?<![\w.])\d[\d,]*\.?\d*(?:e[-+]?\d+)?", words)
    rounded = [(n, len(re.sub(r"e.*|\D", "", n).lstrip("0"))) for n in numbers]
    return [
        n
        for n, count in rounded
        if count >= 3 and float(n.replace(",", "")) == float(f"{abs(measured):.{count}g}")
    ]
