"""How a hint and a folded answer look: HTML on a page, plain text elsewhere."""

from __future__ import annotations

import ast
import html
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

from .stubs import bare_signature


class Hint:
    """A hint and its number; ``words`` in backticks are code."""

    def __init__(self, text: str, number: int, of: int) -> None:
        self.text, self.head = text, f"Hint {number} of {of}"

    def __repr__(self) -> str:
        return f"{self.head}: {self.text}"

    def _repr_html_(self) -> str:
        text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(self.text))
        return f"<p><b>{self.head}.</b> {text}</p>"


class Folded:
    """The source of a function behind a line that opens it."""

    def __init__(self, head: str, function: Callable[..., Any]) -> None:
        self.head, self.source = head, source_of(function)

    def __repr__(self) -> str:
        return f"{self.head}:\n{self.source}"

    def _repr_html_(self) -> str:
        code = f"<pre>{html.escape(self.source)}</pre>"
        return f"<details><summary>{html.escape(self.head)} (click to open)</summary>{code}</details>"


def source_of(function: Callable[..., Any]) -> str:
    """The function's lines as a learner would write them in a notebook.

    Without types, its name without an underscore in front, and the course's functions as ``lab.…``.
    """
    name, source = function.__name__, _untyped(function)
    source = re.sub(rf"\b{re.escape(name)}\b", name.lstrip("_"), source)
    source = re.sub(r"  # (type: ignore|noqa).*", "", source)  # said to tools, not to readers
    public = importlib.import_module(__name__.partition(".")[0]).__all__  # by name: imports point downward
    own = function.__code__.co_varnames + function.__code__.co_cellvars  # an argument `gradient` is its own
    public = [known for known in public if known not in own]
    return re.sub(rf"(?<![\w.`])(?<!def )({'|'.join(public)})(?=\()", r"lab.\1", source)


def _untyped(function: Callable[..., Any]) -> str:
    """The function's source with its first lines as one, without types; a lambda as it stands."""
    source = textwrap.dedent(inspect.getsource(function)).rstrip()
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    if not found or found[0].body[0].lineno == found[0].lineno:
        return source
    lines, row = source.splitlines(), found[0].body[0].lineno - 1
    while lines[row - 1].lstrip().startswith("#"):  # a comment above the first line of the body
        row -= 1
    return "\n".join([f"def {function.__name__}{bare_signature(function)}:", *lines[row:]])
