"""What the source of an entry may say: no files, no data, nothing private; each refusal quotes the line."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ...errors import LabError

LONGEST = 12_000  # characters of a source: a network in digits is a hundred times longer
LIBRARIES = (
    *("ddl_lab", "torch", "numpy", "math", "random", "itertools", "functools", "collections", "dataclasses"),
    *("copy", "time", "operator", "typing", "__future__"),
)
_BY_HAND = {"open", "exec", "eval", "compile", "globals", "locals", "vars", "getattr", "setattr", "delattr"}
_DATA = {
    *("load_digits", "load_small_digits", "load", "fromfile", "from_file", "memmap", "loadtxt", "genfromtxt"),
    *("swept", "run_path", "hub"),
}
_CONTEST = "ddl_lab.exercises"
_INSTEAD = "training data come by task.gradient, checkpoints by task.save and task.restore"


class NotAllowed(LabError):
    """An entry does, or captures, what it may not; the message names it."""


def check_rules(source: str) -> None:
    """Raise ``NotAllowed`` for the first line of ``source`` that an entry may not have."""
    if len(source) > LONGEST:
        raise NotAllowed(
            f"the entry's source has {len(source):,} characters, and may have {LONGEST:,}: compute in the "
            "worker what stands in it as numbers."
        )
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise NotAllowed(f"the entry's source is no Python: {error}") from None
    imported = {name for node in ast.walk(tree) for name in _names_of(node)}
    for node in ast.walk(tree):
        for what, why in (*_faults(node), *_shared(node, imported)):
            line = source.splitlines()[node.lineno - 1].strip()  # type: ignore[attr-defined]
            raise NotAllowed(f"an entry may not use `{what}`: {why}. The line is: {line:.100}")


def _names_of(node: ast.AST) -> Iterator[str]:
    """The names that an import gives."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)


def _shared(node: ast.AST, imported: set[str]) -> Iterator[tuple[str, str]]:
    """What is written to a module or a type: the nodes of a simulation would all see it, at no cost."""
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        base: ast.AST = node
        while isinstance(base, ast.Attribute):
            base = base.value
        of_a_type = isinstance(base, ast.Call) and ast.unparse(base.func) == "type"
        if of_a_type or (isinstance(base, ast.Name) and base.id in imported):
            yield (
                ast.unparse(node),
                "nodes share modules and types in a simulation alone: send it by node.send",
            )


def _faults(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(what is not allowed, why and what instead) of one part of the source."""
    if isinstance(node, ast.Import):
        yield from (fault for alias in node.names for fault in _imported(alias.name, ""))
    elif isinstance(node, ast.ImportFrom):
        yield from (f for alias in node.names for f in _imported(node.module or ".", alias.name))
    elif isinstance(node, ast.Attribute):
        yield from _named(node.attr, f".{node.attr}")
    elif isinstance(node, ast.Name) and (node.id in _BY_HAND or node.id.startswith("__")):
        yield node.id, f"it reaches what is none of an entry's; {_INSTEAD}"


def _named(name: str, shown: str) -> Iterator[tuple[str, str]]:
    if name.startswith("_"):
        yield shown, "names that begin with _ are private, of torch's, the course's and the task's objects"
    if name in _DATA:
        yield shown, f"an entry reads no data and no files; {_INSTEAD}"


def _imported(module: str, name: str) -> Iterator[tuple[str, str]]:
    whole = f"{module}.{name}".rstrip(".")
    if module.split(".")[0] not in LIBRARIES:
        yield f"import {module}", f"it may import {', '.join(LIBRARIES[:-1])}"
    elif whole.startswith(_CONTEST):
        yield f"import {whole}", "the contest's own files are none of an entry's"
    else:
        parts = [part for part in whole.split(".") if part != "__future__"]
        yield from (fault for part in parts for fault in _named(part, f"import {whole}"))
